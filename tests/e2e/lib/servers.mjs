// Starts the MCP servers that Tulle proxies to, each in a process of its own: {url, port, child, stop, seen...}.
import { e2ePath, freePort, launch, until } from './children.mjs';

/** Some are large, some make keys, and the disk may read them for the first time. */
const START_MS = 60_000;

async function start(script, args, { env = {}, ready = /listening (\d+)/, path = '/mcp', port: wanted } = {}) {
    const port = wanted ?? await freePort();
    const child = launch(process.execPath, [e2ePath(script), ...args], { env: { ...process.env, PORT: String(port), ...env } });
    await until(`${script} listens`, () => {
        if (child.end) throw new Error(`${script} ended: ${child.err}`);
        return ready.test(child.out + child.err);
    }, START_MS);
    // The test file may end while a server runs: children.mjs kills it then.
    for (const handle of [child, child.stdin, child.stdout, child.stderr]) handle.unref();
    const origin = `http://127.0.0.1:${port}`;
    const stop = async () => {
        child.kill('SIGKILL');
        await child.ended;
    };
    return { origin, url: origin + path, port, child, stop };
}

/** The reference server of the MCP project, over Streamable HTTP with sessions, or over the HTTP+SSE of 2024-11-05. */
export const startEverything = ({ isSse = false } = {}) =>
    start('node_modules/@modelcontextprotocol/server-everything/dist/index.js', [isSse ? 'sse' : 'streamableHttp'],
        isSse ? { ready: /running on port/, path: '/sse' } : { ready: /listening on port/ });

/** Our fixture on SDK v2. isModernOnly: refuses session clients; isSse: every answer is an event stream. */
export const startV2 = ({ isModernOnly = false, isSse = false } = {}) =>
    start('servers/v2.mjs', [isModernOnly && '--modern-only', isSse && '--sse'].filter(Boolean));

/** Our fixture on SDK v1 with sessions. isJson: answers are JSON instead of event streams. */
export async function startV1({ isJson = false } = {}) {
    const server = await start('servers/v1.mjs', isJson ? ['--json'] : []);
    server.forgetSessions = () => fetch(`${server.origin}/_forget`, { method: 'POST' });
    return server;
}

/** A stateless server that asks its clients and publishes changes (servers/asking.mjs). */
export async function startAsking() {
    const server = await start('servers/asking.mjs', []);
    server.publish = (kind, uri) => fetch(`${server.origin}/_publish`, { method: 'POST', body: JSON.stringify({ kind, uri }) });
    server.break = () => fetch(`${server.origin}/_break`, { method: 'POST' });
    server.stats = async () => (await fetch(`${server.origin}/_stats`)).json();
    return server;
}

/** The hand-written server that records and misbehaves (servers/raw.mjs). */
export async function startRaw({ isModern = false, port } = {}) {
    const server = await start('servers/raw.mjs', isModern ? ['--modern'] : [], { port });
    server.seen = async () => (await fetch(`${server.origin}/_seen`)).json();
    server.forget = () => fetch(`${server.origin}/_seen`, { method: 'DELETE' });
    server.arrived = async () => (await fetch(`${server.origin}/_arrived`)).json();
    server.live = async () => (await fetch(`${server.origin}/_live`)).json();
    server.forgetSessions = () => fetch(`${server.origin}/_forget`, { method: 'POST' });
    server.plan = (faults) => fetch(`${server.origin}/_fault`, { method: 'PUT', body: JSON.stringify(faults) });
    return server;
}

/** Our fixture for aggregates (servers/many.mjs): offers the tools it is told. */
export async function startMany({ name, tools = ['echo'], isStateless = false, isRich = false }) {
    const server = await start('servers/many.mjs', [], {
        env: { MANY_NAME: name, MANY_TOOLS: JSON.stringify(tools), ...(isStateless && { MANY_STATELESS: '1' }), ...(isRich && { MANY_RICH: '1' }) },
    });
    const put = (path, value) => fetch(`${server.origin}${path}`, { method: 'PUT', body: JSON.stringify(value) });
    server.offer = (list) => put('/_tools', list);
    server.delay = (ms) => put('/_delay', ms);
    server.update = (uri) => put('/_update', uri);
    server.taskIs = (status) => put('/_task', status);
    server.subscribed = async () => (await fetch(`${server.origin}/_subscribed`)).json();
    server.asked = async () => (await fetch(`${server.origin}/_asked`)).json();
    return server;
}

/** The session server that asks its clients (servers/asks.mjs). seen(): what it counted. */
export async function startAsks({ isJson = false, hasStream = true } = {}) {
    const server = await start('servers/asks.mjs', [isJson && '--json', !hasStream && '--no-stream'].filter(Boolean));
    const control = async (name) => (await fetch(`${server.origin}/_${name}`, { method: 'POST' })).json();
    return Object.assign(server, { seen: () => control('seen'), reset: () => control('reset'), grant: () => control('grant'), forgetSessions: () => control('forget') });
}

/** The hand-written server of the 2024-11-05 transport (servers/sse_raw.mjs). at(mode): the address of that behaviour. */
export async function startSseRaw() {
    const server = await start('servers/sse_raw.mjs', [], { path: '/sse' });
    return Object.assign(server, { at: (mode) => `${server.url}?mode=${mode}`, seen: async () => (await fetch(`${server.origin}/_seen`)).json() });
}

/** The hand-written session server of servers/legs.mjs. at(query): its address with that behaviour. */
export async function startLegs() {
    const server = await start('servers/legs.mjs', []);
    const control = async (name) => (await fetch(`${server.origin}/_${name}`, { method: 'POST' })).json();
    return Object.assign(server, {
        at: (query) => `${server.url}?${query}`,
        seen: () => control('seen'), reset: () => control('reset'), forget: () => control('forget'), release: () => control('release'), say: () => control('say'),
    });
}

/** The hand-written server with an authorization server of its own (servers/oauth_raw.mjs). */
export async function startOAuthRaw() {
    const server = await start('servers/oauth_raw.mjs', []);
    const control = async (name, value) => (await fetch(`${server.origin}/_${name}`, { method: 'POST', body: JSON.stringify(value ?? {}) })).json();
    return Object.assign(server, {
        plan: (value) => control('plan', value), merge: (value) => control('merge', value), seen: () => control('seen'), expire: () => control('expire'), release: () => control('release'), forget: () => control('forget'),
    });
}

/** A session server behind npm oidc-provider (servers/oauth_real.mjs). */
export async function startOAuthReal() {
    const server = await start('servers/oauth_real.mjs', []);
    return Object.assign(server, {
        seen: async () => (await fetch(`${server.origin}/_seen`)).json(),
        plan: (value) => fetch(`${server.origin}/_plan`, { method: 'POST', body: JSON.stringify(value) }),
        bound: `${server.origin}/bound`, // the same for tokens that are bound by DPoP
    });
}

/** An authorization server that an organization may trust (servers/foreign_issuer.mjs); its origin is its issuer. */
export const startForeignIssuer = () => start('servers/foreign_issuer.mjs', [], { path: '/' });

/** npm oidc-provider as an identity provider (servers/openid_provider.mjs); its origin is its issuer. */
export async function startOpenIdProvider() {
    const server = await start('servers/openid_provider.mjs', [], { path: '/' });
    return Object.assign(server, {
        setClients: (clients) => fetch(`${server.origin}/_clients`, { method: 'PUT', body: JSON.stringify(clients) }),
        logout: (whom) => fetch(`${server.origin}/_logout`, { method: 'PUT', body: JSON.stringify(whom) }),
    });
}
