// Starts the MCP servers that Tulle proxies to, each in a process of its own: {url, port, child, stop, seen...}.
import { e2ePath, freePort, launch, until } from './children.mjs';

async function start(script, args, { env = {}, ready = /listening (\d+)/, path = '/mcp' } = {}) {
    const port = await freePort();
    const child = launch(process.execPath, [e2ePath(script), ...args], { env: { ...process.env, PORT: String(port), ...env } });
    await until(`${script} listens`, () => {
        if (child.end) throw new Error(`${script} ended: ${child.err}`);
        return ready.test(child.out + child.err);
    });
    // The test file may end while a server runs: children.mjs kills it then.
    for (const handle of [child, child.stdin, child.stdout, child.stderr]) handle.unref();
    const origin = `http://127.0.0.1:${port}`;
    const stop = async () => {
        child.kill('SIGKILL');
        await child.ended;
    };
    return { origin, url: origin + path, port, child, stop };
}

/** The reference server of the MCP project, over Streamable HTTP with sessions. */
export const startEverything = () =>
    start('node_modules/@modelcontextprotocol/server-everything/dist/index.js', ['streamableHttp'], { ready: /listening on port/ });

/** Our fixture on SDK v2. isModernOnly: refuses session clients; isSse: every answer is an event stream. */
export const startV2 = ({ isModernOnly = false, isSse = false } = {}) =>
    start('servers/v2.mjs', [isModernOnly && '--modern-only', isSse && '--sse'].filter(Boolean));

/** Our fixture on SDK v1 with sessions. isJson: answers are JSON instead of event streams. */
export async function startV1({ isJson = false } = {}) {
    const server = await start('servers/v1.mjs', isJson ? ['--json'] : []);
    server.forgetSessions = () => fetch(`${server.origin}/_forget`, { method: 'POST' });
    return server;
}

/** The hand-written server that records and misbehaves (servers/raw.mjs). */
export async function startRaw({ isModern = false } = {}) {
    const server = await start('servers/raw.mjs', isModern ? ['--modern'] : []);
    server.seen = async () => (await fetch(`${server.origin}/_seen`)).json();
    server.forget = () => fetch(`${server.origin}/_seen`, { method: 'DELETE' });
    server.plan = (faults) => fetch(`${server.origin}/_fault`, { method: 'PUT', body: JSON.stringify(faults) });
    return server;
}
