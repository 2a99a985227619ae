// Starts the built program with a data directory and a port of its own, and speaks to it as an administrator would.
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { freePort, launch, repoDir, until, within } from './children.mjs';
import { rpc, send } from './http.mjs';
import { assertNoSecrets, guard } from './secrets.mjs';
import { checkOutput } from './schema.mjs';

export const binary = resolve(process.env.TULLE_BIN ?? join(repoDir, 'build', 'tulle'));
const sanitizerReport = /AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|UndefinedBehavior/;
export const sanitizerEnv = {
    ASAN_OPTIONS: 'detect_stack_use_after_return=0:abort_on_error=0:exitcode=99',
    UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
};

// What the person who runs the tests has set must not reach the program.
const settings = ['HOST', 'PORT', 'BASE_URL', 'DATA_DIR', 'DATABASE_URL', 'ENCRYPTION_KEY', 'AUTH_CONFIG', 'EGRESS_ALLOW', 'HTTPS_PROXY',
    'https_proxy', 'http_proxy', 'HTTP_PROXY', 'NO_PROXY', 'no_proxy', 'LOG_LEVEL', 'LOG_FILE', 'WORKERS', 'OTEL_EXPORTER_OTLP_ENDPOINT'];
const cleanEnv = () => Object.fromEntries(Object.entries(process.env).filter(([name]) => !settings.includes(name)));

/** With TULLE_TEST_POSTGRES each data directory has a schema of its own there; without it the store is SQLite. */
function databaseFor(dataDir) {
    const server = process.env.TULLE_TEST_POSTGRES;
    if (!server) return {};
    const schema = basename(dataDir).toLowerCase().replaceAll(/[^a-z0-9]/g, '_');
    const made = spawnSync('psql', [server, '-q', '-v', 'ON_ERROR_STOP=1', '-c', `SET client_min_messages = error; CREATE SCHEMA IF NOT EXISTS ${schema}`]);
    assert.equal(made.status, 0, `psql: ${made.stderr}`);
    return { DATABASE_URL: `${server}?options=-csearch_path%3D${schema}` };
}

function noteCalled(name) {
    if (process.env.TULLE_CALLED_FILE) appendFileSync(process.env.TULLE_CALLED_FILE, `called ${name}\n`);
}

const dataDirs = [];
process.on('exit', () => {
    for (const dir of dataDirs) rmSync(dir, { recursive: true, force: true });
});

function makeDataDir() {
    dataDirs.push(mkdtempSync(join(tmpdir(), 'tulle-e2e-')));
    return dataDirs.at(-1);
}

class Tulle {
    constructor(env, dataDir, port) {
        this.dataDir = dataDir;
        this.port = port;
        this.url = `http://127.0.0.1:${port}`;
        this.env = { ...cleanEnv(), ...sanitizerEnv, DATA_DIR: dataDir, PORT: String(port), DRAIN_SECONDS: '10', WORKERS: '2', ...databaseFor(dataDir), ...env };
    }

    async serve(args = []) {
        this.child = launch(binary, ['serve', ...args], { env: this.env, cwd: this.dataDir });
        this.isStopped = false;
        await until('Tulle listens', () => {
            if (this.child.end) throw new Error(`tulle serve ended with ${JSON.stringify(this.child.end)}:\n${this.child.out}${this.child.err}`);
            return /^Tulle is at (\S+)/m.test(this.child.out);
        }, 20_000);
        return this;
    }

    /** Log lines so far, parsed. */
    logs() {
        return this.child.err.split('\n').filter(Boolean).map((line) => {
            try {
                return JSON.parse(line);
            } catch {
                return assert.fail(`a log line is not JSON: ${line}`);
            }
        });
    }

    /** Ends the program by SIGTERM and checks what it left behind: exit code 0, no sanitizer report, JSON logs, no secrets. */
    async stop({ within: ms = 30_000 } = {}) {
        this.isStopped = true;
        this.child.kill('SIGTERM');
        const end = await within(ms, 'tulle stops on SIGTERM', this.child.ended).catch((error) => {
            this.child.kill('SIGKILL');
            throw error;
        });
        this.checkOutput();
        assert.deepEqual(end, { code: 0, signal: null }, `tulle ended badly:\n${this.child.err.slice(-4000)}`);
        return end;
    }

    async kill9() {
        this.isStopped = true;
        this.child.kill('SIGKILL');
        await this.child.ended;
        this.checkOutput();
    }

    checkOutput() {
        assert.ok(!sanitizerReport.test(this.child.err), `sanitizer report:\n${this.child.err.slice(-8000)}`);
        assertNoSecrets(this.child.out + this.child.err, 'the output of tulle serve');
        const lines = this.child.err.split('\n');
        if (this.child.end?.signal) lines.pop(); // killed: the last line may be cut
        for (const line of lines) if (line !== '') assert.doesNotThrow(() => JSON.parse(line), `a log line is not JSON: ${line}`);
    }

    /** stop() and remove the data directory: for after() hooks. */
    async end() {
        try {
            if (this.child && !this.isStopped) await this.stop(); // also when it died by itself: then stop() says how
        } finally {
            rmSync(this.dataDir, { recursive: true, force: true });
        }
    }

    /** Runs a subcommand beside the server: {stdout, stderr, code}. */
    async cli(args, { stdin = '', env = {} } = {}) {
        const child = launch(binary, args, { env: { ...this.env, ...env }, cwd: this.dataDir });
        child.stdin.end(stdin);
        const { code } = await within(60_000, `tulle ${args.join(' ')}`, child.ended).finally(() => child.end ?? child.kill('SIGKILL'));
        assert.ok(!sanitizerReport.test(child.err), `sanitizer report of tulle ${args.join(' ')}:\n${child.err}`);
        return { stdout: child.out, stderr: child.err, code };
    }

    /** cli() that must succeed; the first line of its stdout. */
    async must(...args) {
        const { stdout, stderr, code } = await this.cli(args);
        assert.equal(code, 0, `tulle ${args.join(' ')}: ${stderr}`);
        return stdout.split('\n')[0];
    }

    async makeUser(email, ...flags) {
        return this.must('user', 'create', '--email', email, '--name', email.split('@')[0], ...flags);
    }

    async makeKey(slug, email, ...flags) {
        return guard(await this.must('key', 'create', '--org', slug, '--user', email, '--name', 'e2e', ...flags), `API key of ${email}`);
    }

    /** An organization with its owner and an unlimited key: {slug, email, org_id, user_id, key}. */
    async makeOrg(slug, ...userFlags) {
        const email = `owner@${slug}.example`;
        const user_id = await this.makeUser(email, ...userFlags);
        const org_id = await this.must('org', 'create', '--name', `The ${slug}`, '--slug', slug, '--owner', email);
        return { slug, email, org_id, user_id, key: await this.makeKey(slug, email) };
    }

    /** A management tool over plain HTTP. */
    async tool(name, args = {}, { key } = {}) {
        noteCalled(name);
        return send(`${this.url}/api/tools/${name}`, { body: args, key });
    }

    /** tool() that must succeed and match its output schema; the structured result. */
    async use(name, args, { key }) {
        const answer = await this.tool(name, args, { key });
        assert.equal(answer.status, 200, `${name} ${JSON.stringify(args)}: ${answer.text}`);
        await checkOutput(this, key, name, answer.body);
        return answer.body;
    }

    /** tool() that must fail with this status (or one of several); the error of the envelope. */
    async refuse(name, args, { key }, status) {
        const answer = await this.tool(name, args, { key });
        assert.ok([status].flat().includes(answer.status), `${name} ${JSON.stringify(args)}: ${answer.status} ${answer.text}`);
        assert.deepEqual(Object.keys(answer.body), ['error'], answer.text);
        assert.equal(typeof answer.body.error.code, 'string');
        assert.equal(typeof answer.body.error.message, 'string');
        assert.equal(typeof answer.body.error.request_id, 'string');
        return answer.body.error;
    }

    /** Registers a server; the connection, with `mcp`, the address of its proxy. */
    async connect(org, fields) {
        const { item } = await this.use('CONNECTION_CREATE', fields, org);
        return { ...item, mcp: `${this.url}/mcp/${item.id}` };
    }

    /** A bare tools/call at a connection. */
    callTool(connection, name, args, options) {
        return rpc(connection.mcp, 'tools/call', { name, arguments: args }, options);
    }

    metrics() {
        return send(`${this.url}/metrics`, { method: 'GET' }).then((answer) => answer.text);
    }
}

/** A Tulle with a fresh data directory, serving. env: settings. */
export async function startTulle({ env = {}, args = [], dataDir, port } = {}) {
    const tulle = new Tulle(env, dataDir ?? makeDataDir(), port ?? await freePort());
    return tulle.serve(args);
}

/** The same without serving: for the administrative commands alone. */
export async function prepareTulle({ env = {} } = {}) {
    return new Tulle(env, makeDataDir(), await freePort());
}
