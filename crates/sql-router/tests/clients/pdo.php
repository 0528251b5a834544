<?php
// The steps with PDO: pdo.php HOST PORT STEPS
[, $host, $port, $steps] = $argv;
require __DIR__ . '/shown.php';
$db = new PDO("mysql:host=$host;port=$port;dbname=app;charset=utf8mb4", 'app', 'secret', [
    PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
    PDO::ATTR_EMULATE_PREPARES => false,
]);

// Behind the last result of a procedure PDO counts columns that it knows nothing of.
function names(PDOStatement $statement): array
{
    $names = [];
    for ($index = 0; $index < $statement->columnCount(); $index++) {
        $meta = $statement->getColumnMeta($index);
        if ($meta) {
            $names[] = $meta['name'];
        }
    }
    return $names;
}

function run(PDO $db, string $sql, array $values, bool $prepare, bool $own): void
{
    $statement = $db->prepare($sql, [PDO::ATTR_EMULATE_PREPARES => !$prepare]);
    foreach ($values as $index => $value) {
        $kind = is_null($value) ? PDO::PARAM_NULL : (is_int($value) ? PDO::PARAM_INT : PDO::PARAM_STR);
        $statement->bindValue($index + 1, $value, $kind);
    }
    $statement->execute();
    do {
        $names = names($statement);
        $rows = $names ? $statement->fetchAll(PDO::FETCH_NUM) : [];
        $names ? columns($names) : changed($statement->rowCount());
        foreach ($rows as $row) {
            row($names, $row, $own);
        }
    } while ($statement->nextRowset());
}

$last = 0;
foreach (steps($steps) as [$verb, $sql, $values, $own]) {
    try {
        match ($verb) {
            'begin' => $db->beginTransaction(),
            'commit' => $db->commit(),
            'rollback' => $db->rollBack(),
            'last' => last($last),
            'run' => run($db, $sql, [], false, $own),
            'bind' => run($db, $sql, $values, true, $own),
        };
    } catch (PDOException $e) {
        echo "error {$e->errorInfo[1]}: {$e->errorInfo[2]}\n";
        continue;
    }
    $last = (int) $db->lastInsertId() ?: $last;
}
