// Every `struct db_stmt` of the program is prepared on PostgreSQL, and no two have one name.
//   tests/e2e/lib/postgres.sh run node tests/checks/statements.mjs
// The texts come from the preprocessor, as macros make some of them.
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const server = process.env.TULLE_TEST_POSTGRES;
if (!server) throw new Error('TULLE_TEST_POSTGRES is not set: run it by tests/e2e/lib/postgres.sh run node tests/checks/statements.mjs');

const files = ['src', 'auth', 'management-tools']
    .flatMap((dir) => readdirSync(join(root, dir), { recursive: true }).map((name) => join(dir, name)))
    .filter((name) => name.endsWith('.c') && !/db_sqlite|migrate/.test(name))
    .filter((name) => readFileSync(join(root, name), 'utf8').includes('struct db_stmt '));

const literals = '((?:\\s*"(?:[^"\\\\]|\\\\.)*")+)\\s*,';
const pattern = new RegExp(`\\{\\s*("[a-z_0-9]+")\\s*,${literals}\\s*DB_(?:READ|LIST|WRITE)\\b`, 'g');
const text = (c) => [...c.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map((m) => m[1].replace(/\\(.)/g, (_, x) => (x === 'n' ? '\n' : x))).join('');

const statements = [];
for (const file of files) {
    const c = execFileSync('cc', ['-E', '-P', '-std=gnu17', '-D_GNU_SOURCE', '-DTULLE_VERSION="0"', '-Isrc', '-I.', '-I/usr/include/postgresql', file],
        { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 });
    const found = [...c.matchAll(pattern)].map((m) => ({ file, name: text(m[1]), sql: text(m[2]) }));
    if (!found.length && /struct db_stmt \w+ = \{/.test(c)) throw new Error(`${file}: has statements that this check cannot read`);
    statements.push(...found);
}

const failures = [];
const names = new Map();
for (const s of statements) {
    const other = names.get(s.name);
    if (other && other.sql !== s.sql) failures.push(`${s.file}: ${s.name} is a name of ${other.file}, too`);
    names.set(s.name, s);
}

const migrations = readdirSync(join(root, 'migrations')).filter((name) => name.endsWith('.sql')).sort()
    .map((name) => readFileSync(join(root, 'migrations', name), 'utf8').replace(/^-- only: sqlite$[^]*?^-- end$/gm, ''));
const schema = `check_${process.pid}_${Date.now()}`;
const url = `${server}${server.includes('?') ? '&' : '?'}options=-csearch_path%3D${schema}`;
const psql = (where, input) => spawnSync('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', where], { input, encoding: 'utf8' });
const must = (where, input) => {
    const { status, stderr } = psql(where, input);
    if (status !== 0) throw new Error(stderr);
};
must(server, `CREATE SCHEMA ${schema};`);
try {
    must(url, migrations.join('\n'));
    for (const s of statements) {
        const { status, stderr } = psql(url, `PREPARE s AS ${s.sql};`);
        // What has nothing to plan cannot be prepared by SQL, only by the protocol.
        if (status !== 0 && !/^(BEGIN|COMMIT|ROLLBACK)$/.test(s.sql)) failures.push(`${s.file}: ${s.name}: ${stderr.trim()}`);
    }
} finally {
    must(server, `SET client_min_messages = error; DROP SCHEMA ${schema} CASCADE;`);
}
for (const failure of failures) console.log(failure);
const isOk = !failures.length && statements.length > 0;
console.log(isOk ? `ok statements: ${statements.length} checked` : 'not ok statements');
process.exitCode = isOk ? 0 : 1;
