// The commands: what they print, how they fail, and that they work beside a running server.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { statSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch, within } from './lib/children.mjs';
import { rpc } from './lib/http.mjs';
import { binary, prepareTulle, startTulle } from './lib/tulle.mjs';

let tulle;
before(async () => {
    tulle = await startTulle();
});
after(() => tulle?.end());

/** A command that must fail: non-zero, nothing on stdout, one line on stderr, which is returned. */
async function failing(where, args, options) {
    const { stdout, stderr, code } = await where.cli(args, options);
    assert.notEqual(code, 0, `tulle ${args.join(' ')} should fail, said: ${stdout}`);
    assert.equal(stdout, '');
    assert.equal(stderr.trim().split('\n').length, 1, `one line on stderr, not: ${stderr}`);
    return stderr;
}

test('every command answers --help on stdout', async () => {
    const commands = [[], ['serve'], ['migrate'], ['doctor'], ['version'], ['keys', 'rotate'], ['user', 'create'], ['org', 'create'],
        ['key', 'create'], ['call']];
    for (const command of commands) {
        const { stdout, stderr, code } = await tulle.cli([...command, '--help']);
        assert.equal(code, 0, `${command.join(' ')} --help: ${stderr}`);
        assert.match(stdout, /tulle/, `${command.join(' ')} --help`);
    }
});

test('version prints a version', async () => {
    assert.match(await tulle.must('version'), /\d+\.\d+\.\d+/);
});

test('an unknown command and an unknown flag fail with one line that names them', async () => {
    assert.match(await failing(tulle, ['frobnicate']), /frobnicate/);
    assert.match(await failing(tulle, ['user', 'create', '--emial', 'a@b.example']), /--emial/);
});

test('user create prints the id first, and refuses an address that is taken', async () => {
    const { stdout, code } = await tulle.cli(['user', 'create', '--email', 'Ada@Example.test', '--name', 'Ada']);
    assert.equal(code, 0);
    const [id, ...rest] = stdout.trim().split('\n');
    assert.match(id, /^usr_[0-9a-f]{32}$/);
    for (const line of rest) assert.match(line, /^http\S+\/invite\//, 'a second line is the invitation link');
    const again = await failing(tulle, ['user', 'create', '--email', 'ada@example.test']);
    assert.match(again, /ada@example\.test/i);
});

test('bad arguments of the create commands are refused by name', async () => {
    assert.match(await failing(tulle, ['user', 'create', '--email', 'not-an-address']), /not-an-address|email/i);
    assert.match(await failing(tulle, ['org', 'create', '--name', 'X', '--slug', 'Bad Slug!', '--owner', 'ada@example.test']), /slug/i);
    assert.match(await failing(tulle, ['org', 'create', '--name', 'X', '--slug', 'hub', '--owner', 'ada@example.test']), /hub/);
    assert.match(await failing(tulle, ['org', 'create', '--name', 'X', '--slug', 'fine', '--owner', 'nobody@example.test']), /nobody@example\.test/);
    assert.match(await failing(tulle, ['key', 'create', '--org', 'no-such-org', '--user', 'ada@example.test', '--name', 'k']), /no-such-org/);
});

test('a key made beside the running server works at once', async () => {
    const org = await tulle.makeOrg('beside');
    assert.match(org.org_id, /^org_[0-9a-f]{32}$/);
    assert.match(org.key, /^tulle_key_\S{20,}$/);
    const { status, body } = await rpc(`${tulle.url}/mcp`, 'tools/list', {}, { key: org.key });
    assert.equal(status, 200);
    assert.ok(body.result.tools.length > 0);
    await failing(tulle, ['org', 'create', '--name', 'again', '--slug', 'beside', '--owner', org.email]);
});

test('a key with a scope and an expiry is made as asked', async () => {
    const org = await tulle.makeOrg('scoped');
    const key = await tulle.makeKey('scoped', org.email, '--scope', 'mcp', '--expires', '1');
    const answer = await tulle.tool('CONNECTION_CREATE', { name: 'x', url: 'http://127.0.0.1:9/mcp' }, { key });
    assert.equal(answer.status, 403, answer.text);
});

test('tulle call runs a tool with TULLE_URL and TULLE_API_KEY', async () => {
    const org = await tulle.makeOrg('caller');
    const env = { TULLE_URL: tulle.url, TULLE_API_KEY: org.key };
    const { stdout, code, stderr } = await tulle.cli(['call', 'ORGANIZATION_GET', '--output', 'json'], { env });
    assert.equal(code, 0, stderr);
    assert.equal(JSON.parse(stdout).item.slug, 'caller');
    const list = await tulle.cli(['call', 'CONNECTION_LIST', 'limit=1', '--output', 'json'], { env });
    assert.equal(list.code, 0, list.stderr);
    assert.deepEqual(JSON.parse(list.stdout).items, []);
    const json = await tulle.cli(['call', 'CONNECTION_LIST', '--json', '{"limit":1}', '--output', 'json'], { env });
    assert.equal(json.code, 0, json.stderr);
    assert.match(await failing(tulle, ['call', 'NO_SUCH_TOOL'], { env }), /NO_SUCH_TOOL/);
    await failing(tulle, ['call', 'ORGANIZATION_GET'], { env: { ...env, TULLE_API_KEY: 'tulle_key_wrong' } });
});

test('generated keys are readable by their owner only', () => {
    const files = readdirSync(tulle.dataDir).map((name) => ({ name, mode: statSync(join(tulle.dataDir, name)).mode & 0o777 }));
    const keyFiles = files.filter(({ name }) => /key/i.test(name));
    assert.ok(keyFiles.length > 0, `a key file among ${files.map((f) => f.name)}`);
    for (const file of keyFiles) assert.equal(file.mode, 0o600, file.name);
});

test('doctor and migrate succeed, migrate again too', async () => {
    const fresh = await prepareTulle();
    await fresh.cli(['migrate']).then(({ code, stderr }) => assert.equal(code, 0, stderr));
    await fresh.cli(['migrate']).then(({ code, stderr }) => assert.equal(code, 0, stderr));
    await fresh.cli(['doctor']).then(({ code, stderr, stdout }) => assert.equal(code, 0, stderr + stdout));
    await fresh.end();
});

test('doctor says what is wrong', async () => {
    const fresh = await prepareTulle();
    const { code, stdout } = await fresh.cli(['doctor'], { env: { AUTH_CONFIG: '/does/not/exist.json' } });
    assert.equal(code, 1);
    assert.match(stdout, /^FAIL settings and keys AUTH_CONFIG: "\/does\/not\/exist\.json" cannot be read$/m);
    await fresh.end();
});

test('serve refuses ill-formed settings with one line that names them', async () => {
    const fresh = await prepareTulle();
    assert.match(await failing(fresh, ['serve', '--no-such-flag']), /--no-such-flag/);
    assert.match(await failing(fresh, ['serve', '--port', 'abc']), /abc/);
    assert.match(await failing(fresh, ['serve'], { env: { PORT: '70000' } }), /PORT.*70000|70000.*PORT/);
    assert.match(await failing(fresh, ['serve'], { env: { AUDIT_STREAM: 'nowhere' } }), /AUDIT_STREAM/);
    assert.match(await failing(fresh, ['serve'], { env: { ENCRYPTION_KEY: 'short' } }), /ENCRYPTION_KEY/);
    assert.match(await failing(fresh, ['serve'], { env: { BASE_URL: 'http://tulle.example' } }), /BASE_URL/);
    const conf = join(fresh.dataDir, 'tulle.conf');
    writeFileSync(conf, 'NO_SUCH_SETTING=1\n');
    assert.match(await failing(fresh, ['serve', '--config', conf]), /NO_SUCH_SETTING/);
    await fresh.end();
});

test('the message about an ill-formed key does not repeat it', async () => {
    const fresh = await prepareTulle();
    const line = await failing(fresh, ['serve'], { env: { ENCRYPTION_KEY: 'hunter2hunter2' } });
    assert.ok(!line.includes('hunter2'), line);
    await fresh.end();
});

test('a wrong encryption key stops the start', async () => {
    const first = await startTulle({ env: { ENCRYPTION_KEY: randomBytes(32).toString('hex') } });
    await first.makeOrg('sealed');
    await first.stop();
    const line = await failing(first, ['serve'], { env: { ENCRYPTION_KEY: randomBytes(32).toString('hex') } });
    assert.match(line, /ENCRYPTION_KEY|encryption key/i);
    await first.end();
});

test('settings come from files too', async () => {
    const fresh = await prepareTulle();
    const keyFile = join(fresh.dataDir, 'the-key');
    writeFileSync(keyFile, randomBytes(32).toString('base64') + '\n');
    fresh.env.ENCRYPTION_KEY_FILE = keyFile;
    await fresh.serve();
    await fresh.end();
});

test('a second server on the same data directory or port is refused', async () => {
    assert.match(await failing(tulle, ['serve'], { env: { PORT: String(tulle.port + 1) } }), /data|lock|already|running/i);
    const other = await prepareTulle();
    assert.match(await failing(other, ['serve'], { env: { PORT: String(tulle.port) } }), new RegExp(`${tulle.port}|--port`));
    await other.end();
});

test('a closed stdin and stdout do not disturb serve', async () => {
    const fresh = await prepareTulle();
    const child = launch('/bin/sh', ['-c', `exec "${binary}" serve < /dev/null > /dev/null`], { env: fresh.env, cwd: fresh.dataDir });
    const deadline = Date.now() + 15_000;
    let status;
    while (status !== 200 && Date.now() < deadline)
        status = await fetch(`${fresh.url}/health/live`).then((r) => r.status, () => new Promise((r) => setTimeout(r, 50)));
    assert.equal(status, 200);
    child.kill('SIGTERM');
    assert.equal((await within(20_000, 'serve ends', child.ended)).code, 0);
    await fresh.end();
});

test('serve tells whoever came by ssh how to open the setup link at home, and nobody else', async (t) => {
    const remote = await startTulle({ env: { SSH_CONNECTION: '203.0.113.9 50123 192.0.2.7 2222', SUDO_USER: 'ada', DISPLAY: ':10' } });
    t.after(() => remote.end());
    assert.match(remote.child.out, new RegExp(`^No browser here\\? On your machine: ssh -p 2222 -L ${remote.port}:localhost:${remote.port} ada@192\\.0\\.2\\.7$`, 'm'));
    await remote.stop();
    await remote.must('user', 'create', '--email', 'first@acme.example', '--operator');
    await remote.serve();
    assert.ok(!remote.child.out.includes('ssh'), remote.child.out);
    const local = await startTulle({ env: { SSH_CONNECTION: '', DISPLAY: ':0' } });
    t.after(() => local.end());
    assert.match(local.child.out, /^Set up: /m);
    assert.ok(!local.child.out.includes('ssh'), local.child.out);
});
