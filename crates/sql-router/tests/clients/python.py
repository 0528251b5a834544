"""The steps with PyMySQL or mysqlclient: python.py MODULE HOST PORT STEPS"""
import hashlib, importlib, json, sys

module, host, port, steps = sys.argv[1:]
db = importlib.import_module(module)
args = dict(host=host, port=int(port), user="app", database="app", charset="utf8mb4", autocommit=True)
connection = db.connect(password="secret", **args)


def shown(name, value):
    if value is None:
        return "NULL"
    if name.startswith("b_"):
        value = value.encode("utf8") if isinstance(value, str) else value
        return "0x" + value.hex() if len(value) <= 40 else f"{len(value)} bytes {hashlib.sha1(value).hexdigest()}"
    if isinstance(value, bytes):
        value = value.decode("utf8")
    if isinstance(value, float):
        return json.dumps(f"{value:.6g}")
    text = str(value)
    if len(text.encode("utf8")) > 200:
        return f"{len(text.encode('utf8'))} bytes {hashlib.sha1(text.encode('utf8')).hexdigest()}"
    return json.dumps(text, ensure_ascii=False)


def argument(value):
    if isinstance(value, dict):
        count = value["bytes"]
        return (bytes(range(251)) * (count // 251 + 1))[:count]
    return value


def results(cursor, own):
    while True:
        if cursor.description is None:
            print(f"ok, {cursor.rowcount} rows changed")
        else:
            names = [column[0] for column in cursor.description]
            print("columns " + ", ".join(names))
            for row in cursor.fetchall():
                values = [repr(v) if own else shown(n, v) for n, v in zip(names, row)]
                print(("~" if own else "") + "row " + " | ".join(values))
        if not cursor.nextset():
            return


def step(verb, sql, values):
    if verb == "begin":
        return connection.begin()
    if verb == "commit":
        return connection.commit()
    if verb == "rollback":
        return connection.rollback()
    if verb == "last":
        return print(f"last insert id {last}")
    own = verb.startswith("own-")
    with connection.cursor() as cursor:
        try:
            if verb.endswith("bind"):
                values = [argument(value) for value in json.loads(values)]
                cursor.execute(sql.replace("?", "%s"), values)
            else:
                cursor.execute(sql)
            results(cursor, own)
        except db.Error as error:
            print(f"error {error.args[0]}: {error.args[1]}")
        return cursor.lastrowid


last = 0
for line in open(steps, encoding="utf8"):
    verb, sql, *values = line.rstrip("\n").split("\t")
    print(f"> {verb.removeprefix('own-')} {sql[:60]}")
    last = step(verb, sql, values[0] if values else None) or last
connection.close()
