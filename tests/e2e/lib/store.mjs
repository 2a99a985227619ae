// The program's store, changed from outside: what a test cannot wait for, such as the age of a proof.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { until } from './children.mjs';

/** Runs one statement on the store of a Tulle; its rows as objects. */
export function sql(tulle, text) {
    if (!tulle.env.DATABASE_URL) {
        const db = new DatabaseSync(join(tulle.dataDir, 'tulle.db'));
        try {
            db.exec('PRAGMA busy_timeout = 20000');
            return db.prepare(text).all();
        } finally {
            db.close();
        }
    }
    const done = spawnSync('psql', [tulle.env.DATABASE_URL, '-X', '-q', '-v', 'ON_ERROR_STOP=1', '--csv', '-c', text], { encoding: 'utf8' });
    assert.equal(done.status, 0, done.stderr);
    const [names, ...rows] = done.stdout.split('\n').filter(Boolean).map((line) => line.split(','));
    return rows.map((row) => Object.fromEntries(row.map((value, i) => [names[i], value])));
}

/** Nobody can write to the audit until the function that comes back is called. */
export async function lockAudit(tulle) {
    if (!tulle.env.DATABASE_URL) {
        const db = new DatabaseSync(join(tulle.dataDir, 'tulle-audit.db'));
        db.exec('PRAGMA busy_timeout = 20000; BEGIN IMMEDIATE');
        return () => db.close();
    }
    const psql = spawn('psql', [tulle.env.DATABASE_URL, '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1']);
    let said = '';
    for (const out of [psql.stdout, psql.stderr]) out.on('data', (text) => (said += text));
    psql.stdin.write("BEGIN; LOCK TABLE audit IN EXCLUSIVE MODE; SELECT 'locked';\n");
    await until('the audit is locked', () => {
        assert.equal(psql.exitCode, null, said);
        return said.includes('locked');
    });
    return () => psql.stdin.end('COMMIT;\n');
}

/** The last proof of everybody is older than any dangerous act takes. */
export function ageProofs(tulle) {
    sql(tulle, 'UPDATE browser_sessions SET proved_at = proved_at - 660000');
}
