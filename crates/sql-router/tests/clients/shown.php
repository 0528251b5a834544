<?php
// What the two scripts of PHP share: reading the steps, writing what came.
ini_set('memory_limit', '1G');

function shown(string $name, mixed $value): string
{
    if ($value === null) {
        return 'NULL';
    }
    if (str_starts_with($name, 'b_')) {
        return strlen($value) <= 40 ? '0x' . bin2hex($value) : strlen($value) . ' bytes ' . sha1($value);
    }
    if (is_float($value)) {
        return json_encode(sprintf('%.6G', $value));
    }
    $text = (string) $value;
    if (strlen($text) > 200) {
        return strlen($text) . ' bytes ' . sha1($text);
    }
    return json_encode($text, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES);
}

function columns(array $names): void
{
    echo 'columns ' . implode(', ', $names) . "\n";
}

function row(array $names, array $values, bool $own): void
{
    $show = fn($name, $value) => $own ? var_export($value, true) : shown($name, $value);
    echo ($own ? '~' : '') . 'row ' . implode(' | ', array_map($show, $names, $values)) . "\n";
}

function changed(int $rows): void
{
    echo "ok, $rows rows changed\n";
}

function last(int $id): void
{
    echo "last insert id $id\n";
}

function argument(mixed $value): mixed
{
    if (!is_array($value)) {
        return $value;
    }
    $all = implode('', array_map('chr', range(0, 250)));
    return substr(str_repeat($all, intdiv($value['bytes'], 251) + 1), 0, $value['bytes']);
}

function steps(string $file): iterable
{
    foreach (file($file, FILE_IGNORE_NEW_LINES) as $line) {
        [$verb, $sql, $values] = array_pad(explode("\t", $line), 3, '[]');
        $own = str_starts_with($verb, 'own-');
        $verb = $own ? substr($verb, 4) : $verb;
        echo "> $verb " . substr($sql, 0, 60) . "\n";
        yield [$verb, $sql, array_map('argument', json_decode($values, true)), $own];
    }
}
