// What our fixture servers offer: the same tools, resources, prompts and completion through SDK v1 and SDK v2.
import { z } from 'zod';

const stats = { calls: 0, started: 0, finished: 0, cancelled: 0, requests: 0, sessions: 0, sessionsEnded: 0 };
export const counters = stats;

const text = (value) => ({ content: [{ type: 'text', text: value }] });

/** Waits `ms` or until the signal fires; true when the whole time went by. */
export function pause(ms, signal) {
    return new Promise((resolve) => {
        if (signal?.aborted) return resolve(false);
        const timer = setTimeout(() => resolve(true), ms);
        signal?.addEventListener('abort', () => {
            clearTimeout(timer);
            resolve(false);
        }, { once: true });
    });
}

async function slow({ ms }, context) {
    stats.started++;
    if (await pause(ms, context.signal)) {
        stats.finished++;
        return text(`waited ${ms}`);
    }
    stats.cancelled++;
    return text('cancelled');
}

async function progress({ steps, ms = 5 }, context) {
    for (let step = 1; step <= steps; step++) {
        if (context.progressToken !== undefined)
            await context.notify({
                method: 'notifications/progress',
                params: { progressToken: context.progressToken, progress: step, total: steps, message: `step ${step}` },
            });
        await pause(ms, context.signal);
    }
    return text(`did ${steps} steps`);
}

/**
 * Registers everything on an McpServer. `kit` is what differs between the SDK's versions: ResourceTemplate, completable
 * and context(extra) -> {headers, signal, progressToken, notify}.
 */
export function register(server, kit) {
    const tool = (name, config, run) =>
        server.registerTool(name, { description: `fixture tool ${name}`, ...config, inputSchema: z.object(config.inputSchema ?? {}) },
            async (args, extra) => {
                stats.calls++;
                return run(args, kit.context(extra));
            });
    const reads = { readOnlyHint: true, destructiveHint: false };

    tool('echo', { inputSchema: { text: z.string() }, annotations: reads }, ({ text: value }) => text(value));
    tool('add', { inputSchema: { a: z.number(), b: z.number() }, annotations: reads }, ({ a, b }) => text(String(a + b)));
    tool('whoami', { annotations: reads }, (_args, context) => text(JSON.stringify(context.headers)));
    tool('progress', { inputSchema: { steps: z.number().int(), ms: z.number().optional() } }, progress);
    tool('slow', { inputSchema: { ms: z.number() } }, slow);
    tool('stats', { annotations: reads }, () => text(JSON.stringify(stats)));
    tool('fail', {}, () => ({ ...text('this tool always fails'), isError: true }));
    tool('big', { inputSchema: { bytes: z.number().int() } }, ({ bytes }) => text('x'.repeat(bytes)));
    tool('delete_all', { annotations: { destructiveHint: true } }, () => text('deleted'));
    tool('structured', {
        inputSchema: { city: z.string() },
        outputSchema: z.object({ city: z.string(), celsius: z.number() }),
    }, ({ city }) => ({ ...text(JSON.stringify({ city, celsius: 21.5 })), structuredContent: { city, celsius: 21.5 } }));

    for (const name of ['alpha', 'beta'])
        server.registerResource(name, `fixture://static/${name}`, { description: `the ${name} page`, mimeType: 'text/plain' },
            async (uri) => ({ contents: [{ uri: uri.href, mimeType: 'text/plain', text: `content of ${name}` }] }));
    server.registerResource('page', new kit.ResourceTemplate('fixture://page/{number}', { list: undefined }),
        { description: 'a page by number', mimeType: 'text/plain' },
        async (uri, { number }) => ({ contents: [{ uri: uri.href, mimeType: 'text/plain', text: `page ${number}` }] }));

    server.registerPrompt('hello', { description: 'says hello' },
        async () => ({ messages: [{ role: 'user', content: { type: 'text', text: 'Hello!' } }] }));
    const colours = ['red', 'rose', 'green'];
    server.registerPrompt('paint', {
        description: 'paints something',
        argsSchema: { colour: kit.completable(z.string(), (value) => colours.filter((c) => c.startsWith(value ?? ''))) },
    }, async ({ colour }) => ({ messages: [{ role: 'user', content: { type: 'text', text: `Paint it ${colour}.` } }] }));
}
