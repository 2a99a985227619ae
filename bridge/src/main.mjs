#!/usr/bin/env node
// tulle-bridge: stdio on this side, Streamable HTTP on the other. stdout belongs to the protocol; people read stderr.
import { readFileSync } from 'node:fs';
import { Authorizer } from './auth.mjs';
import { Bridge } from './bridge.mjs';
import { parseOptions, usage, UsageError } from './options.mjs';
import { Store } from './store.mjs';

const log = (text) => process.stderr.write(`tulle-bridge: ${String(text).replaceAll(/\s*[\0-\x1f\x7f-\x9f]\s*/g, ' ')}\n`);

async function login(bridge, authorizer) {
    const probe = await bridge.fetch(bridge.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...(authorizer.token() && { authorization: `Bearer ${authorizer.token()}` }) },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
    });
    await probe.body?.cancel();
    if (probe.status !== 401) return log(authorizer.token() ? 'signed in already' : 'the server asks for no sign-in');
    await authorizer.onUnauthorized({ response: probe });
}

async function main() {
    const options = parseOptions(process.argv.slice(2), process.env);
    if (options.isHelp) return console.log(usage);
    if (options.isVersion) return console.log(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version);
    const { url, headers, noBrowser, port, wait } = options;
    const store = new Store(options.dir, url);
    if (options.isLogout) return store.clear();
    const authorizer = options.hasKey ? undefined : new Authorizer({ url, store, log, noBrowser, port });
    const bridge = new Bridge({ url, headers, authorizer, log, wait });
    if (authorizer) authorizer.fetch = bridge.fetch;
    if (options.isLogin) return login(bridge, authorizer);
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => bridge.stop());
    await bridge.run();
}

main().then(() => process.exit(), (error) => {
    log(error instanceof UsageError ? error.message : error?.message ?? error);
    process.exit(error instanceof UsageError ? 2 : 1);
});
