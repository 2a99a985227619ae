// mcp-remote as people use it: a stdio program that is given one address and nothing else. It discovers, registers, opens a
// browser, waits for its person and refreshes by itself. The test is its host (a stdio client of the SDK) and its person.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { Browser } from './lib/browser.mjs';
import { e2ePath, until, within } from './lib/children.mjs';
import { textOf } from './lib/clients.mjs';
import { decide, form, makeOwner } from './lib/oauth.mjs';
import { guard } from './lib/secrets.mjs';
import { startV1 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, org, connection;
before(async () => {
    const [program, server] = await Promise.all([startTulle(), startV1()]);
    tulle = program;
    org = await makeOwner(tulle, 'acme');
    connection = await tulle.connect(org, { name: 'Fixture', slug: 'fixture', url: server.url });
});
after(() => tulle?.end());

/** A home folder of one person: where mcp-remote keeps what it has, and a browser that notes what it is to open. */
function makeHome(name) {
    const home = join(tulle.dataDir, name);
    mkdirSync(home);
    const browser = join(home, 'browser');
    writeFileSync(browser, `#!/bin/sh\nprintf '%s\\n' "$1" >> '${home}/opened'\n`);
    chmodSync(browser, 0o755);
    return home;
}

const opened = (home) => (existsSync(join(home, 'opened')) ? readFileSync(join(home, 'opened'), 'utf8').split('\n').filter(Boolean) : []);

/** What mcp-remote keeps of this kind: its client, its tokens. */
function kept(home, kind) {
    const all = readdirSync(join(home, 'kept'), { recursive: true }).filter((name) => name.endsWith(`_${kind}.json`));
    assert.equal(all.length, 1, `${kind}: ${all}`);
    return JSON.parse(readFileSync(join(home, 'kept', all[0]), 'utf8'));
}

/** Starts it with the address alone. `connected` settles when the host may use it. */
function startRemote(home, address) {
    const transport = new StdioClientTransport({
        command: process.execPath,
        args: [e2ePath('node_modules/mcp-remote/dist/proxy.js'), address],
        // No display: its opener goes by BROWSER alone.
        env: { PATH: process.env.PATH, HOME: home, BROWSER: join(home, 'browser'), MCP_REMOTE_CONFIG_DIR: join(home, 'kept') },
        stderr: 'pipe',
    });
    const said = { text: '' };
    transport.stderr.setEncoding('utf8').on('data', (text) => (said.text += text));
    const client = new Client({ name: 'e2e host', version: '1' });
    const connected = client.connect(transport, { timeout: 120_000 });
    connected.catch(() => {});
    return { client, connected, said };
}

/** The person at the address that the program opened: signs in, allows, and is sent back to the program. */
async function walk(address) {
    const url = new URL(address);
    assert.equal(url.searchParams.get('resource'), connection.mcp, 'it asks for what it was given');
    const browser = new Browser(url.origin);
    await browser.open(url.pathname + url.search);
    assert.equal(browser.page.path, '/login');
    await browser.submit('/login', { email: org.email, password: org.password });
    assert.match(browser.page.text, /Fixture of The acme/);
    const { status, headers } = await decide(browser, 'allow');
    assert.equal(status, 303);
    const back = new URL(headers.location);
    assert.ok(back.href.startsWith(url.searchParams.get('redirect_uri')), back.href);
    guard(back.searchParams.get('code'), 'authorization code');
    assert.equal((await fetch(back)).status, 200, 'the program takes its code');
}

async function useIt(client) {
    const { tools } = await client.listTools();
    assert.ok(tools.some((tool) => tool.name === 'echo'), JSON.stringify(tools));
    assert.match(textOf(await client.callTool({ name: 'echo', arguments: { text: 'through mcp-remote' } })), /through mcp-remote/);
}

test('mcp-remote: from an address alone to a tool call, a refresh, and a second start without a browser', async () => {
    const home = makeHome('ada');
    const first = startRemote(home, connection.mcp);
    const [address] = await until('the browser is opened', () => opened(home).length > 0 && opened(home), 60_000)
        .catch((error) => assert.fail(`${error.message}\n${first.said.text}`));
    await walk(address);
    await within(60_000, 'it connects', first.connected).catch((error) => assert.fail(`${error.message}\n${first.said.text}`));
    await useIt(first.client);

    const { client_id } = kept(home, 'client_info');
    const before = kept(home, 'tokens');
    guard(before.access_token, 'access token');
    guard(before.refresh_token, 'refresh token');
    assert.equal((await form(`${tulle.url}/oauth/revoke`, { client_id, token: before.access_token })).status, 200);
    await useIt(first.client);
    const next = kept(home, 'tokens');
    guard(next.access_token, 'access token');
    guard(next.refresh_token, 'refresh token');
    assert.notEqual(next.refresh_token, before.refresh_token, 'it refreshed');
    await first.client.close();

    const second = startRemote(home, connection.mcp);
    await within(60_000, 'it connects again', second.connected).catch((error) => assert.fail(`${error.message}\n${second.said.text}`));
    await useIt(second.client);
    await second.client.close();
    assert.equal(opened(home).length, 1, 'the person was asked once');
    // What it was given the first time still serves. (Its own file may be gone: a taken port makes it forget its registration.)
    const record = await until('a call is recorded', async () => (await tulle.use('CONNECTION_CALLS_LIST', { connection_id: connection.id }, org)).items[0]);
    assert.equal(record.client_id, client_id);
});
