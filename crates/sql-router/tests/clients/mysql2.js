// The steps with mysql2: mysql2.js HOST PORT STEPS
const mysql = require('mysql2/promise');
const fs = require('node:fs');
const crypto = require('node:crypto');

const [host, port, file] = process.argv.slice(2);
const sum = (bytes) => `${bytes.length} bytes ${crypto.createHash('sha1').update(bytes).digest('hex')}`;

function shown(name, value) {
  if (value === null) return 'NULL';
  if (name.startsWith('b_')) {
    const bytes = Buffer.from(value);
    return bytes.length <= 40 ? `0x${bytes.toString('hex')}` : sum(bytes);
  }
  if (Buffer.isBuffer(value)) value = value.toString();
  const text = String(value);
  return Buffer.byteLength(text) > 200 ? sum(Buffer.from(text)) : JSON.stringify(text);
}

function argument(value) {
  if (value === null || typeof value !== 'object') return value;
  return Buffer.from({ length: value.bytes }, (_, at) => at % 251);
}

function told(result, fields, own) {
  if (!Array.isArray(result)) return console.log(`ok, ${result.affectedRows} rows changed`);
  const names = fields.map((field) => field.name);
  console.log(`columns ${names.join(', ')}`);
  for (const row of result) {
    const values = row.map((value, at) => (own ? JSON.stringify(value) : shown(names[at], value)));
    console.log(`${own ? '~' : ''}row ${values.join(' | ')}`);
  }
}

async function main() {
  const connection = await mysql.createConnection({
    host,
    port: Number(port),
    user: 'app',
    password: 'secret',
    database: 'app',
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    multipleStatements: true,
    rowsAsArray: true,
    jsonStrings: true,
    typeCast: (field, next) => (field.type === 'GEOMETRY' ? field.buffer() : next()),
  });
  let last = 0;
  for (const line of fs.readFileSync(file, 'utf8').trimEnd().split('\n')) {
    let [verb, sql, values = '[]'] = line.split('\t');
    const own = verb.startsWith('own-');
    verb = own ? verb.slice(4) : verb;
    console.log(`> ${verb} ${sql.slice(0, 60)}`);
    if (verb === 'begin') await connection.beginTransaction();
    else if (verb === 'commit') await connection.commit();
    else if (verb === 'rollback') await connection.rollback();
    else if (verb === 'last') console.log(`last insert id ${last}`);
    else {
      try {
        const run = verb === 'bind' ? 'execute' : 'query';
        const [result, fields] = await connection[run](sql, JSON.parse(values).map(argument));
        // Several results: their definitions are several too.
        const several = Array.isArray(fields) && (fields.length === 0 || fields.some((one) => one === undefined || Array.isArray(one)));
        if (several) result.forEach((one, at) => told(one, fields[at], own));
        else told(result, fields, own);
        last = result.insertId || last;
      } catch (e) {
        console.log(`error ${e.errno}: ${e.sqlMessage}`);
      }
    }
  }
  await connection.end();
}

main();
