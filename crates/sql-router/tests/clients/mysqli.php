<?php
// The steps with mysqli: mysqli.php HOST PORT STEPS
[, $host, $port, $steps] = $argv;
require __DIR__ . '/shown.php';
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
$db = new mysqli($host, 'app', 'secret', 'app', (int) $port);
$db->set_charset('utf8mb4');

function rows(mysqli_result $result, bool $own): void
{
    $names = array_map(fn($field) => $field->name, $result->fetch_fields());
    columns($names);
    while ($row = $result->fetch_row()) {
        row($names, $row, $own);
    }
    $result->free();
}

function text(mysqli $db, string $sql, bool $own): void
{
    $db->multi_query($sql);
    do {
        $result = $db->store_result();
        $result ? rows($result, $own) : changed($db->affected_rows);
    } while ($db->more_results() && $db->next_result());
}

function prepared(mysqli $db, string $sql, array $values, bool $own): void
{
    $statement = $db->prepare($sql);
    $kinds = implode('', array_map(fn($value) => is_int($value) ? 'i' : 's', $values));
    $statement->bind_param($kinds, ...$values);
    $statement->execute();
    do {
        $result = $statement->get_result();
        $result ? rows($result, $own) : changed($statement->affected_rows);
    } while ($statement->more_results() && $statement->next_result());
    $statement->close();
}

$last = 0;
foreach (steps($steps) as [$verb, $sql, $values, $own]) {
    try {
        match ($verb) {
            'begin' => $db->begin_transaction(),
            'commit' => $db->commit(),
            'rollback' => $db->rollback(),
            'last' => last($last),
            'run' => text($db, $sql, $own),
            'bind' => prepared($db, $sql, $values, $own),
        };
    } catch (mysqli_sql_exception $e) {
        echo "error {$e->getCode()}: {$e->getMessage()}\n";
        while ($db->more_results()) {
            $db->next_result();
        }
        continue;
    }
    $last = $db->insert_id ?: $last;
}
