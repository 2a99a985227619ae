// bridge/: an SDK stdio client starts it as Claude Desktop would; behind it the built Tulle with a real server.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as StdioV1 } from '@modelcontextprotocol/sdk/client/stdio.js';
import { CreateMessageRequestSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { Client as ClientV2 } from '@modelcontextprotocol/client';
import { StdioClientTransport as StdioV2 } from '@modelcontextprotocol/client/stdio';
import { decide, makeOwner, signedIn } from './lib/oauth.mjs';
import { onward } from './lib/browser.mjs';
import { freePort, launch, repoDir, until } from './lib/children.mjs';
import { textOf } from './lib/clients.mjs';
import { guard } from './lib/secrets.mjs';
import { send, sendRaw } from './lib/http.mjs';
import { startEverything, startV1, startV2 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

const program = join(repoDir, 'bridge', 'src', 'main.mjs');
const info = { name: 'host', version: '1.0.0' };

let tulle, org, connection, server, recent;
const dirs = [];
const listeners = [];
before(async () => {
    [tulle, server, recent] = await Promise.all([startTulle(), startV1(), startV2({ isModernOnly: true, isSse: true })]);
    org = await makeOwner(tulle, 'acme');
    connection = await tulle.connect(org, { name: 'fixture', url: server.url });
});
after(async () => {
    for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
    for (const listener of listeners) {
        listener.closeAllConnections();
        listener.close();
    }
    await tulle?.end();
});

function makeDir() {
    dirs.push(mkdtempSync(join(tmpdir(), 'tulle-bridge-')));
    return dirs.at(-1);
}

const environment = (dir, key) => ({ PATH: process.env.PATH, TULLE_BRIDGE_DIR: dir, ...(key && { TULLE_API_KEY: key }) });

/** A host with a bridge beneath it: {client, transport, said() (stderr so far), connected}. */
function startHost(url, { dir = makeDir(), key, more = {}, args = [], Client = ClientV1, Transport = StdioV1, options = { capabilities: {} } } = {}) {
    const transport = new Transport({ command: process.execPath, args: [program, url, '--no-browser', ...args], env: { ...environment(dir, key), ...more }, stderr: 'pipe' });
    let err = '';
    const client = new Client(info, options);
    transport.stderr.on('data', (text) => (err += text));
    const connected = client.connect(transport, { timeout: 60_000 });
    connected.catch(() => {});
    return { client, transport, dir, said: () => err, connected };
}

const call = async (host, text) => textOf(await host.client.callTool({ name: 'echo', arguments: { text } }));
const addressIn = (text) => [...text.matchAll(/sign in at: (\S+)/g)].at(-1)?.[1];

/** The person in front of the browser: opens the address that the bridge printed, signs in, allows. */
async function signInFor(host, { decision = 'allow', after: before_ = 0 } = {}) {
    const address = new URL(await until('the bridge prints the address', () => addressIn(host.said().slice(before_)), 30_000));
    assert.equal(address.searchParams.get('code_challenge_method'), 'S256');
    const browser = await signedIn(tulle, org);
    await browser.open(address.pathname + address.search);
    const back = new URL(onward(await decide(browser, decision)));
    assert.equal(`${back.origin}${back.pathname}`, address.searchParams.get('redirect_uri'));
    const forged = new URL(back);
    forged.searchParams.set('state', 'forged');
    assert.equal((await send(forged, { method: 'GET' })).status, 400);
    const page = await send(back, { method: 'GET' });
    assert.equal(page.status, 200);
    return page.text;
}

const stored = (dir) => {
    const name = readdirSync(dir).find((one) => one.endsWith('.json'));
    return { path: join(dir, name), data: JSON.parse(readFileSync(join(dir, name), 'utf8')) };
};

/** A directory with the tokens of a finished sign-in. */
async function signedInDir() {
    const host = startHost(connection.mcp);
    await signInFor(host);
    await host.connected;
    await host.client.close();
    const { data } = stored(host.dir);
    guard(data.tokens.access_token, 'access token');
    guard(data.tokens.refresh_token, 'refresh token');
    return host.dir;
}

/** A server that asks for a sign-in; `more` is what its authorization server says differently. Its address. */
async function startMisleading(more) {
    const server = createServer((req, res) => {
        const origin = `http://127.0.0.1:${server.address().port}`;
        const json = (value) => res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
        const metadata = `${origin}/.well-known/oauth-protected-resource/mcp`;
        if (origin + req.url === metadata) return json({ resource: `${origin}/mcp`, authorization_servers: [origin] });
        if (req.url.startsWith('/.well-known/')) return json({
            issuer: origin, authorization_endpoint: `${origin}/authorize`, token_endpoint: `${origin}/token`, registration_endpoint: `${origin}/register`,
            response_types_supported: ['code'], code_challenge_methods_supported: ['S256'], token_endpoint_auth_methods_supported: ['none'], ...more,
        });
        req.resume().on('end', () => {
            if (req.url === '/register') json({ client_id: 'c', redirect_uris: ['http://127.0.0.1/callback'] });
            else res.writeHead(401, { 'www-authenticate': `Bearer resource_metadata="${metadata}"` }).end();
        });
    });
    listeners.push(server);
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${server.address().port}/mcp`;
}

test('with an API key every kind of message passes, for hosts of both generations', async () => {
    const modern = { capabilities: {}, versionNegotiation: { mode: { pin: '2026-07-28' } } };
    for (const [Client, Transport, options] of [[ClientV1, StdioV1], [ClientV2, StdioV2], [ClientV2, StdioV2, modern]]) {
        const target = options ? await tulle.connect(org, { name: 'modern', url: recent.url }) : connection;
        const host = startHost(target.mcp, { key: org.key, Client, Transport, options });
        await host.connected;
        const seen = [];
        const { onmessage } = host.transport;
        host.transport.onmessage = (message, extra) => {
            seen.push(message);
            onmessage(message, extra);
        };
        assert.equal(await call(host, 'hello'), 'hello');
        assert.ok((await host.client.listResources()).resources.length > 0);
        await host.client.callTool({ name: 'progress', arguments: { steps: 3 } }, ...(Client === ClientV1 ? [undefined] : []), { onprogress: () => {} });
        assert.deepEqual(seen.filter(({ method }) => method === 'notifications/progress').map(({ params }) => params.progress), [1, 2, 3]);
        const abort = new AbortController();
        const slow = host.client.callTool({ name: 'slow', arguments: { ms: 600_000 } }, ...(Client === ClientV1 ? [undefined] : []), { signal: abort.signal });
        slow.catch(() => {});
        const before_ = JSON.parse(await textOf(await host.client.callTool({ name: 'stats', arguments: {} }))).cancelled;
        abort.abort();
        await assert.rejects(slow);
        await until('the server hears of the cancellation', async () => JSON.parse(await textOf(await host.client.callTool({ name: 'stats', arguments: {} }))).cancelled > before_);
        await assert.rejects(host.client.callTool({ name: 'no_such_tool', arguments: {} }).then((result) => assert.ok(!result.isError)));
        await host.client.close();
        assert.equal(host.said(), '');
        assert.deepEqual(readdirSync(host.dir), []);
    }
});

test('what a server asks of its client reaches the host, and the answer the server', async () => {
    const everything = await startEverything();
    const host = startHost(everything.url, { options: { capabilities: { sampling: {}, elicitation: {}, roots: { listChanged: true } } } });
    const asked = [];
    host.client.setRequestHandler(CreateMessageRequestSchema, (request) => {
        asked.push(request.method);
        return { role: 'assistant', model: 'test', content: { type: 'text', text: 'sampled by the host' } };
    });
    host.client.setRequestHandler(ElicitRequestSchema, (request) => {
        asked.push(request.method);
        return { action: 'decline' };
    });
    await host.connected;
    // Its conditional tools appear once it knows what this client can do.
    const offered = async () => (await host.client.listTools()).tools.map((tool) => tool.name);
    await until('the tools for this client', async () => (await offered()).includes('trigger-sampling-request'));
    const sampled = await host.client.callTool({ name: 'trigger-sampling-request', arguments: { prompt: 'hi', maxTokens: 10 } });
    assert.match(JSON.stringify(sampled.content), /sampled by the host/);
    await host.client.callTool({ name: 'trigger-elicitation-request', arguments: {} });
    assert.deepEqual(asked, ['sampling/createMessage', 'elicitation/create']);
    await host.client.close();
    await everything.stop();
});

test('a person signs in through the browser; tokens are kept for the next start, for this user only', async () => {
    const host = startHost(connection.mcp);
    assert.match(await signInFor(host), /Signed in/);
    await host.connected;
    assert.equal(await call(host, 'signed in'), 'signed in');
    await host.client.close();
    const { path, data } = stored(host.dir);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(data.url, connection.mcp);
    assert.ok(!host.said().includes(guard(data.tokens.access_token, 'access token')));

    const again = startHost(connection.mcp, { dir: host.dir });
    await again.connected;
    assert.equal(await call(again, 'no browser'), 'no browser');
    assert.equal(again.said(), '');
    await again.client.close();
});

test('a refused sign-in is told to the host and on stderr', async () => {
    const host = startHost(connection.mcp);
    assert.match(await signInFor(host, { decision: 'deny' }), /refused/);
    await assert.rejects(host.connected, /refused/);
    assert.match(host.said(), /the sign-in was refused/);
    await host.client.close();
});

test('a server that leads a sign-in to another program of this machine, or over the network in the clear, is not followed', async () => {
    const bin = makeDir();
    const opened = join(bin, 'opened');
    writeFileSync(join(bin, 'xdg-open'), `#!/bin/sh\necho "$1" >> ${opened}\n`, { mode: 0o755 });
    const env = { ...environment(makeDir()), PATH: `${bin}:${process.env.PATH}` };
    for (const [field, address, why] of [
        ['authorization_endpoint', 'file:///usr/bin/xterm', /begins with file: and is not opened/],
        ['authorization_endpoint', 'mailto:x@example.com', /begins with mailto: and is not opened/],
        ['authorization_endpoint', 'http://sign-in.example/authorize', /begins with http: and is not opened/],
        ['registration_endpoint', 'http://register.example/', /leads to http:\/\/register\.example for signing in: expected https/],
    ]) {
        const child = launch(process.execPath, [program, await startMisleading({ [field]: address }), '--login'], { env });
        assert.equal((await child.ended).code, 1, child.err);
        assert.match(child.err, why);
        assert.ok(!existsSync(opened), `${address} was opened`);
    }
});

test('whatever asks the loopback address while somebody signs in, the bridge goes on waiting', async () => {
    const child = launch(process.execPath, [program, await startMisleading({}), '--login', '--no-browser'], { env: environment(makeDir()) });
    const address = new URL(await until('the bridge prints the address', () => addressIn(child.err), 30_000));
    const back = new URL(address.searchParams.get('redirect_uri'));
    for (const path of ['//', '/callback?state=forged', '//callback', '/callback?code=x'])
        assert.match(await sendRaw(back.port, `GET ${path} HTTP/1.1\r\nHost: ${back.host}\r\nConnection: close\r\n\r\n`), /^HTTP\/1.1 40[04] /);
    back.search = new URLSearchParams({ code: 'x', state: address.searchParams.get('state') });
    assert.equal((await send(back, { method: 'GET' })).status, 200);
    assert.equal((await child.ended).code, 1, child.err); // the code is none
    assert.doesNotMatch(child.err, /mcp-sdk/);
});

test('two bridges whose token has ended refresh it once', async () => {
    const dir = await signedInDir();
    const { path, data } = stored(dir);
    // Both start with a token that the server does not know; whoever is second finds the first one's.
    writeFileSync(path, JSON.stringify({ ...data, tokens: { ...data.tokens, access_token: 'tulle_at_ended' } }));
    // Each bridge notes its requests to the token endpoint: Tulle itself would repeat the answer to a second refresh.
    const notes = join(makeDir(), 'token-requests');
    const count = `import { appendFileSync } from 'node:fs';
        const plain = globalThis.fetch;
        globalThis.fetch = (input, init) => {
            if (new URL(input).pathname === '/oauth/token') appendFileSync(${JSON.stringify(notes)}, process.pid + ' ' + new URLSearchParams(init.body).get('grant_type') + '\\n');
            return plain(input, init);
        };`;
    const more = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(count)}` };
    const hosts = Array.from({ length: 4 }, () => startHost(connection.mcp, { dir, more }));
    await Promise.all(hosts.map((host) => host.connected));
    assert.deepEqual(await Promise.all(hosts.map((host, i) => call(host, `host ${i}`))), ['host 0', 'host 1', 'host 2', 'host 3']);
    const now = stored(dir).data.tokens;
    guard(now.access_token, 'access token');
    guard(now.refresh_token, 'refresh token');
    assert.notEqual(now.refresh_token, data.tokens.refresh_token);
    const requests = readFileSync(notes, 'utf8').trim().split('\n');
    assert.equal(requests.length, 1, `one refresh for all: ${requests}`);
    assert.match(requests[0], /^\d+ refresh_token$/);
    for (const host of hosts) {
        assert.equal(host.said(), '');
        await host.client.close();
    }
    assert.deepEqual(readdirSync(dir).filter((name) => !name.endsWith('.json')), []);
});

test('a lock that its holder left behind is broken', async () => {
    const dir = await signedInDir();
    const { path, data } = stored(dir);
    writeFileSync(path, JSON.stringify({ ...data, tokens: { ...data.tokens, access_token: 'tulle_at_ended' } }));
    writeFileSync(`${path}.lock`, 'somebody who died');
    const old = new Date(Date.now() - 3_600_000);
    utimesSync(`${path}.lock`, old, old);
    const host = startHost(connection.mcp, { dir });
    await host.connected;
    assert.equal(await call(host, 'unlocked'), 'unlocked');
    await host.client.close();
    assert.deepEqual(readdirSync(dir).filter((name) => !name.endsWith('.json')), []);
});

test('a revoked grant leads back to the browser, without ending the host', async () => {
    const dir = await signedInDir();
    const host = startHost(connection.mcp, { dir });
    await host.connected;
    const { items } = await tulle.use('OAUTH_GRANT_LIST', {}, org);
    for (const { id } of items) await tulle.use('OAUTH_GRANT_REVOKE', { grant_id: id }, org);
    const said = host.said().length;
    const answer = call(host, 'once more');
    await signInFor(host, { after: said });
    assert.equal(await answer, 'once more');
    await host.client.close();
});

test('an expired or deleted key is said plainly, to the host and on stderr', async () => {
    const { item, key } = await tulle.use('API_KEY_CREATE', { name: 'short' }, org);
    guard(key, 'API key');
    const host = startHost(connection.mcp, { key });
    await host.connected;
    assert.equal(await call(host, 'still good'), 'still good');
    await tulle.use('API_KEY_DELETE', { key_id: item.id }, org);
    await until('the key has ended', async () => {
        try {
            await call(host, 'x');
            return false;
        } catch (error) {
            assert.match(error.message, /API key/);
            return true;
        }
    });
    assert.match(host.said(), /does not accept the API key/);
    assert.ok(!host.said().includes(key));
    await host.client.close();
    const late = startHost(connection.mcp, { key });
    await assert.rejects(late.connected, /API key/);
    await late.client.close();
});

test('wrong addresses and options end with one line, or an error for the host', async () => {
    const nowhere = startHost(`${tulle.url}/mcp/conn_00000000000000000000000000000000`, { key: org.key });
    await assert.rejects(nowhere.connected, /404|no MCP server|no such/i);
    assert.match(nowhere.said(), /HTTP 404/);
    await nowhere.client.close();
    const port = await freePort();
    const silent = startHost(`http://127.0.0.1:${port}/mcp`, { key: org.key, args: ['--wait', '1'] });
    await assert.rejects(silent.connected, /ECONNREFUSED|refused/i);
    assert.ok(silent.said().includes(`127.0.0.1:${port}`), silent.said());
    await silent.client.close();
    for (const [args, word] of [[[], /missing/], [['nonsense'], /no address/], [['http://example.com/mcp'], /https/], [['ftp://x/'], /https/],
        [['https://u:p@x.example/mcp'], /password/], [['https://x.example/mcp', '--colour'], /no option/], [['https://x.example/mcp', '--header', 'nonsense'], /--header/],
        [['https://x.example/mcp', '--port', 'many'], /--port/]]) {
        const child = launch(process.execPath, [program, ...args], { env: environment(makeDir()) });
        assert.equal((await child.ended).code, 2, args.join(' '));
        assert.match(child.err, word);
        assert.deepEqual([child.out, child.err.trim().split('\n').length], ['', 1], child.err);
    }
    const help = launch(process.execPath, [program, '--help'], { env: environment(makeDir()) });
    assert.equal((await help.ended).code, 0);
    assert.match(help.out, /claude_desktop|mcpServers/);
});

test('Tulle restarts in between: the host goes on, in a new session', async () => {
    const dir = await signedInDir();
    const hosts = [startHost(connection.mcp, { key: org.key }), startHost(connection.mcp, { dir })];
    for (const host of hosts) {
        await host.connected;
        assert.equal(await call(host, 'before'), 'before');
    }
    const { dataDir, port } = tulle;
    await tulle.stop();
    const pending = hosts.map((host) => call(host, 'during'));
    tulle = await startTulle({ dataDir, port });
    for (const [i, host] of hosts.entries()) {
        assert.equal(await pending[i], 'during');
        assert.equal(await call(host, 'after'), 'after');
        assert.match(host.said(), /trying again|forgotten the session/);
        await host.client.close();
    }
});

test('--login signs in beforehand, --logout forgets', async () => {
    const dir = makeDir();
    const child = launch(process.execPath, [program, connection.mcp, '--login', '--no-browser'], { env: environment(dir) });
    await signInFor({ said: () => child.err });
    assert.equal((await child.ended).code, 0, child.err);
    const { data } = stored(dir);
    guard(data.tokens.access_token, 'access token');
    const host = startHost(connection.mcp, { dir });
    await host.connected;
    await host.client.close();
    const out = launch(process.execPath, [program, connection.mcp, '--logout'], { env: environment(dir) });
    assert.equal((await out.ended).code, 0);
    assert.deepEqual(readdirSync(dir), []);
});
