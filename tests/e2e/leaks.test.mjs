// Nothing is left behind: sessions at servers, processes, descriptors, fibers, connections and memory are the same before and
// after hundreds of every kind of exchange that goes wrong. A first round warms up what is kept on purpose; a second, equal one is measured.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { readFileSync } from 'node:fs';
import { e2ePath, until } from './lib/children.mjs';
import { childrenOf, descriptors, marked } from './lib/processes.mjs';
import { startAsking, startAsks, startRaw } from './lib/servers.mjs';
import { kinds, speak } from './lib/speakers.mjs';
import { sanitizerEnv, startTulle } from './lib/tulle.mjs';

const ROUNDS = 300, LANES = 3; // fewer lanes than failures in a row open a breaker
const mark = `leaks-test-${process.pid}`;
let tulle, org, asks, asking;
const servers = {}, cells = [], urls = {};
before(async () => {
    [tulle, servers.session, servers.modern, asks, asking] = await Promise.all([
        // What the sanitizer holds back of freed memory is not held by Tulle.
        startTulle({ env: { INPUT_WAIT_SECONDS: '1', ASAN_OPTIONS: `${sanitizerEnv.ASAN_OPTIONS}:quarantine_size_mb=1:thread_local_quarantine_size_kb=64` } }),
        startRaw(), startRaw({ isModern: true }), startAsks(), startAsking()]);
    org = await tulle.makeOrg('acme');
    const made = { asks: { url: asks.url }, asking: { url: asking.url }, stdio: { command: process.execPath, args: [e2ePath('servers/stdio_raw.mjs'), mark] } };
    for (const era of ['session', 'modern']) made[`bad-${era}`] = { url: servers[era].url };
    for (const [slug, fields] of Object.entries(made)) urls[slug] = (await tulle.connect(org, { name: slug, slug, ...fields })).mcp;
    urls.hub = `${tulle.url}/mcp/hub`;
    for (const era of ['session', 'modern'])
        for (const kind of kinds) {
            cells.push({ era, kind, url: urls[`bad-${era}`], prefix: '' });
            cells.push({ era, kind, url: urls.hub, prefix: `bad-${era}__` });
        }
    for (const cell of cells) cell.client = await speak(cell.kind, cell.url, org.key);
});
after(async () => {
    await tulle?.end();
    assert.deepEqual(marked(mark), []);
});

const anonymousKiB = () => Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${tulle.child.pid}/status`, 'utf8'))[1]);

/** What is open now. */
async function census() {
    const text = await tulle.metrics();
    const gauge = (name) => Number(text.match(new RegExp(`^${name} (\\d+)$`, 'm'))[1]);
    return {
        fibers: gauge('tulle_fibers'), streams: gauge('tulle_http_streams'), connections: gauge('tulle_http_connections'), channels: gauge('tulle_channels'),
        clientSessions: gauge('tulle_client_sessions'), downstreamSessions: gauge('tulle_downstream_sessions'),
        children: childrenOf(tulle.child.pid).length, programs: marked(mark).length, descriptors: descriptors(tulle.child.pid),
        atRaw: (await servers.session.live()).length, atAsks: (await asks.seen()).open,
    };
}

async function times(n, run, lanes = LANES) {
    let next = 0;
    const lane = async () => {
        while (next < n) await run(next++);
    };
    await Promise.all(Array.from({ length: lanes }, lane));
}

/** One fault of the server, met by the n-th client; the call after it keeps the breaker closed. */
const fault = (name, args = {}) => async (n) => {
    const { client, prefix } = cells[n % cells.length];
    await client.tool(prefix + name, args).catch(() => {}); // what the client hears is not the matter here
    await client.tool(`${prefix}echo`, { text: 'x' });
};

/** A call that the client leaves once the server works on it. */
const left = (name) => async (n) => {
    const { client, prefix, kind, era } = cells[n % cells.length];
    const waiting = client.openTool(prefix + name, { mark: `n${n}n` }, { id: `left-${n}` });
    waiting.catch(() => {}); // it is given up
    await until('it has arrived', async () => (await servers[era].arrived()).includes(`n${n}n`));
    waiting.leave();
    if (kind === 'session') await client.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: `left-${n}` } });
};

const form = { capabilities: { elicitation: { form: {} } } };
const question = (stream) => until('it asks', () => stream.messages().find((message) => message.method === 'elicitation/create'))
    .catch((error) => assert.fail(`${error.message}: HTTP ${stream.status} ${stream.text()}`));

/** A session whose client leaves with a question open, and ends the session or not. */
const asked = (slug, tool, ends) => async (n) => {
    const client = await speak('session', urls[slug], org.key, form);
    const stream = await client.openTool(tool, {}, { id: n });
    await question(stream);
    stream.close();
    if (ends) await client.end();
};

const parts = ['P', 'POST /mcp HTTP/1.1\r\nHost: ', 'HEAD', 'HEAD{"jsonrpc":"2.0",'];
async function partOfARequest(n) {
    const head = `POST ${new URL(cells[n % cells.length].url).pathname} HTTP/1.1\r\nHost: 127.0.0.1:${tulle.port}\r\nAuthorization: Bearer ${org.key}\r\n` +
        'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n';
    const socket = connect(tulle.port, '127.0.0.1');
    socket.on('error', () => {});
    await new Promise((resolve) => socket.write(parts[n % parts.length].replace('HEAD', head), resolve));
    if (n % 2) socket.destroy();
    else socket.resetAndDestroy();
}

const exchanges = {
    'a reset connection': fault('reset'),
    'a stream cut before the answer': fault('cut_sse'),
    'a stream that ends without the answer': fault('end_sse'),
    'JSON that breaks off': fault('invalid_json'),
    'an answer cut in the middle': fault('cut'),
    'an event that is not JSON': fault('invalid_sse'),
    'an answer to another question': fault('wrong_id'),
    'two answers': fault('duplicate'),
    'a redirect': fault('redirect', { to: 'http://127.0.0.1:9/' }),
    'no HTTP': fault('bytes', { text: 'SSH-2.0\r\n' }),
    '500': fault('status', { status: 500 }),
    'a session that is gone': fault('session_lost'),
    'a flood': fault('flood', { events: 50 }),
    'a call that hangs and is left': left('hang'),
    'a stream without end that is left': left('endless'),
    'a part of a request': partOfARequest,
    'a session that is begun and ended': async (n) => {
        const client = await speak('session', [urls['bad-session'], urls['bad-modern'], urls.hub][n % 3], org.key);
        await client.end();
    },
    'a stream of a session that is left': async (n) => {
        const client = await speak('session', [urls['bad-modern'], urls.hub, urls.asks][n % 3], org.key);
        (await client.stream()).close();
        await client.end();
    },
    'a subscription that is left': async (n) => {
        const client = await speak('modern', [urls['bad-modern'], urls.hub, urls.asks][n % 3], org.key);
        const stream = await client.open('subscriptions/listen', { notifications: { toolsListChanged: true } });
        stream.close();
    },
    'a question that is left by its client': asked('asking', 'ask_form', true),
    'the same through the hub': asked('hub', 'asking__ask_form', true),
    'a question of a session server that is left': asked('asks', 'form', true),
    'a call that waits for input which never comes': async () => {
        const client = await speak('modern', urls.asks, org.key, form);
        await client.tool('form');
    },
    'a forged requestState': async () => {
        const client = await speak('modern', urls.asks, org.key, form);
        await client.ask('tools/call', { name: 'form', arguments: {}, inputResponses: {}, requestState: 'A'.repeat(200) });
    },
};
// These cost more each.
const fewer = { 'an answer without end': [6, fault('endless_answer')], 'an event without end': [12, fault('endless_answer', { sse: true })] };
const programs = {
    'nonsense of a program': [60, async (n) => {
        const client = await speak(kinds[n % 2 ? 2 : 0], urls.stdio, org.key);
        await client.tool(['invalid', 'wrong_id', 'null_id', 'twice', 'noise'][n % 5]).catch(() => {});
        await client.tool('echo', { text: 'x' });
    }],
    'a program that is started for a session and ended with it': [6, async () => {
        const client = await speak('session', urls.stdio, org.key);
        await client.tool('pid');
        await client.end();
    }],
};

// How many connections to servers are kept idle just now is chance, and so is whether a faulty program has been left and
// another one begun (each is a guard and a child): a leak would be hundreds of the one, dozens of the other.
const chance = { descriptors: ROUNDS / 10 + 8, channels: 2, children: 2, programs: 4, downstreamSessions: 2 };

async function round() {
    for (const [what, run] of Object.entries(exchanges)) {
        await times(ROUNDS, run).catch((error) => assert.fail(`${what}: ${error.stack}`));
        for (const server of Object.values(servers)) await server.forget();
    }
    for (const [n, run] of Object.values(fewer)) await times(n, run);
    // One at a time: nonsense fails the call that waits alone, among several it belongs to none.
    for (const [n, run] of Object.values(programs)) await times(n, run, 1);
}

test('after hundreds of each faulty exchange everything is as before', async () => {
    await round();
    // Calls that wait for input end after a second; everything else ends at once.
    let settled = await census();
    await until('the first round has settled', async () => {
        const last = settled;
        settled = await census();
        return settled.fibers === last.fibers && settled.connections <= 2 && settled.streams === 0;
    }, 30_000).catch((error) => assert.fail(`${error.message}: ${JSON.stringify(settled)}`));
    const memory = anonymousKiB();
    await round();
    let now;
    await until('nothing more is open than before', async () => {
        now = await census();
        return Object.entries(settled).every(([what, n]) => now[what] <= n + (chance[what] ?? 0));
    }, 30_000).catch(() => assert.deepEqual(now, settled));
    const grown = anonymousKiB() - memory;
    assert.ok(grown < 12_288, `${grown} KiB more than the ${memory} KiB before`);
});
