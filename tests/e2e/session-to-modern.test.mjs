// Session clients (SDK v1, SDK v2 in legacy mode, hand-written ones) at a server that speaks the stateless revision only.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import * as typesV1 from '@modelcontextprotocol/sdk/types.js';
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { textOf } from './lib/clients.mjs';
import { startAsking } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { until } from './lib/children.mjs';

let tulle, org, asking, mcp;
before(async () => {
    [tulle, asking] = await Promise.all([startTulle(), startAsking()]);
    org = await tulle.makeOrg('acme');
    mcp = (await tulle.connect(org, { name: 'asking', url: asking.url })).mcp;
});
after(() => tulle?.end());

const capabilities = { sampling: {}, roots: { listChanged: true }, elicitation: { form: {}, url: {} } };
const answers = {
    elicit: (params) => (params.mode === 'url' ? { action: 'accept' } : { action: 'accept', content: { name: params.message } }),
    sample: () => ({ role: 'assistant', model: 'm', content: { type: 'text', text: 'sampled' } }),
    roots: () => ({ roots: [{ uri: 'file:///home' }] }),
};
const init = () => ({ requestInit: { headers: { authorization: `Bearer ${org.key}` } } });

/** What each SDK's session client needs to be asked; `asked` records the questions. */
async function connectAsked(sdk, { caps = capabilities, handlers = answers } = {}) {
    const asked = [];
    const note = (kind, answer) => (request) => {
        asked.push({ kind, params: request.params });
        return answer(request.params);
    };
    const isV1 = sdk === 'v1';
    const client = isV1
        ? new ClientV1({ name: 'asked', version: '1' }, { capabilities: caps })
        : new ClientV2({ name: 'asked', version: '1' }, { capabilities: caps, versionNegotiation: { mode: 'legacy' } });
    const on = (schema, method, handler) => client.setRequestHandler(isV1 ? schema : method, handler);
    if (caps.elicitation) on(typesV1.ElicitRequestSchema, 'elicitation/create', note('elicit', handlers.elicit));
    if (caps.sampling) on(typesV1.CreateMessageRequestSchema, 'sampling/createMessage', note('sample', handlers.sample));
    if (caps.roots) on(typesV1.ListRootsRequestSchema, 'roots/list', note('roots', handlers.roots));
    const heard = [];
    for (const [schema, method] of [
        [typesV1.ToolListChangedNotificationSchema, 'notifications/tools/list_changed'],
        [typesV1.PromptListChangedNotificationSchema, 'notifications/prompts/list_changed'],
        [typesV1.ResourceListChangedNotificationSchema, 'notifications/resources/list_changed'],
        [typesV1.ResourceUpdatedNotificationSchema, 'notifications/resources/updated'],
        [typesV1.LoggingMessageNotificationSchema, 'notifications/message'],
    ]) client.setNotificationHandler(isV1 ? schema : method, (message) => void heard.push({ method, params: message.params }));
    await client.connect(isV1 ? new TransportV1(new URL(mcp), init()) : new TransportV2(new URL(mcp), init()));
    return Object.assign(client, { asked, heard });
}

for (const sdk of ['v1', 'v2']) {
    test(`initialize is answered from server/discover (${sdk})`, async () => {
        const client = await connectAsked(sdk);
        assert.equal(client.getServerVersion().name, 'asking');
        assert.equal(client.getInstructions(), 'asks');
        const offered = client.getServerCapabilities();
        assert.deepEqual([offered.tools, offered.resources, offered.logging], [{ listChanged: true }, { listChanged: true, subscribe: true }, {}]);
        assert.equal(offered.extensions?.['io.modelcontextprotocol/tasks'], undefined);
        assert.equal(offered.tasks, undefined);
        await client.close();
    });

    test(`what the client declared is stamped on every request (${sdk})`, async () => {
        const client = await connectAsked(sdk);
        const { meta, headers } = JSON.parse(textOf(await client.callTool({ name: 'whoami', arguments: {} })));
        assert.equal(meta['io.modelcontextprotocol/protocolVersion'], '2026-07-28');
        assert.deepEqual(meta['io.modelcontextprotocol/clientCapabilities'], { roots: {}, sampling: {}, elicitation: { form: {}, url: {} } });
        assert.equal(meta['io.modelcontextprotocol/clientInfo'].name, 'asked');
        assert.deepEqual([headers['mcp-method'], headers['mcp-name'], headers['mcp-session-id']], ['tools/call', 'whoami', undefined]);
        assert.doesNotMatch(JSON.stringify(headers), new RegExp(org.key));
        await client.close();
    });

    test(`elicitation, sampling and roots are asked on the call's stream (${sdk})`, async () => {
        const client = await connectAsked(sdk);
        assert.deepEqual(JSON.parse(textOf(await client.callTool({ name: 'ask_form', arguments: {} }))), { action: 'accept', content: { name: 'Who are you?' } });
        assert.deepEqual(JSON.parse(textOf(await client.callTool({ name: 'ask_url', arguments: {} }))), { action: 'accept' });
        const all = JSON.parse(textOf(await client.callTool({ name: 'ask_all', arguments: {} })));
        assert.deepEqual([all.form.content.name, all.model.content.text, all.roots.roots[0].uri], ['All at once?', 'sampled', 'file:///home']);
        assert.equal(client.asked.length, 5);
        const url = client.asked.find((question) => question.params?.mode === 'url').params;
        assert.equal(url.url, 'https://example.com/in');
        assert.match(url.elicitationId, /^[0-9a-f]{32}$/);
        await client.close();
    });

    test(`prompts/get and resources/read may ask too (${sdk})`, async () => {
        const client = await connectAsked(sdk);
        assert.match((await client.getPrompt({ name: 'asks' })).messages[0].content.text, /Who prompts/);
        assert.match((await client.readResource({ uri: 'ask://asks' })).contents[0].text, /Who reads/);
        await client.close();
    });

    test(`several rounds carry the state back; too many end the call (${sdk})`, async () => {
        const client = await connectAsked(sdk);
        const names = JSON.parse(textOf(await client.callTool({ name: 'ask_rounds', arguments: { rounds: 4 } })));
        assert.deepEqual(names, ['Round 0', 'Round 1', 'Round 2', 'Round 3']);
        assert.equal(textOf(await client.callTool({ name: 'later', arguments: {} })), 'state wait "a" bit æ');
        const endless = await client.callTool({ name: 'ask_rounds', arguments: { rounds: 1000 } });
        assert.equal(endless.isError, true);
        assert.match(textOf(endless), /again and again/);
        await client.close();
    });

    test(`a refusal of the client's ends the call with its words; declining does not (${sdk})`, async () => {
        const handlers = {
            ...answers,
            elicit: () => ({ action: 'decline' }),
            sample: () => { throw new Error('the person said no'); },
        };
        const client = await connectAsked(sdk, { handlers });
        assert.deepEqual(JSON.parse(textOf(await client.callTool({ name: 'ask_form', arguments: {} }))), { action: 'decline' });
        const refused = await client.callTool({ name: 'ask_all', arguments: {} });
        assert.equal(refused.isError, true);
        assert.match(textOf(refused), /refused sampling\/createMessage.*the person said no/);
        await client.close();
    });

    test(`a client that declared nothing is asked nothing (${sdk})`, async () => {
        const client = await connectAsked(sdk, { caps: {} });
        const result = await client.callTool({ name: 'ask_form', arguments: {} });
        assert.equal(result.isError, true);
        assert.match(textOf(result), /elicitation/);
        await assert.rejects(client.getPrompt({ name: 'asks' }), (error) => error.code === -32603);
        await client.close();
    });

    test(`lists lose what session clients do not know (${sdk})`, async () => {
        const client = await connectAsked(sdk);
        const list = await client.listTools();
        const names = list.tools.map((tool) => tool.name);
        assert.ok(names.includes('region') && !names.includes('bad_number') && !names.includes('bad_nested'), String(names));
        assert.deepEqual([list.resultType, list.ttlMs, list.cacheScope], [undefined, undefined, undefined]);
        const { outputSchema } = list.tools.find((tool) => tool.name === 'list_out');
        assert.deepEqual([outputSchema.type, outputSchema.required], ['object', ['result']]);
        assert.ok(outputSchema.$defs.n);
        const result = await client.callTool({ name: 'list_out', arguments: {} });
        assert.deepEqual(result.structuredContent, { result: [1, 2] });
        await client.close();
    });

    test(`annotated arguments travel in headers, listed before or not (${sdk})`, async () => {
        const other = await tulle.connect(org, { name: `fresh ${sdk}`, url: asking.url });
        const client = await connectAsked(sdk);
        const fresh = sdk === 'v1' ? new ClientV1({ name: 'f', version: '1' }) : new ClientV2({ name: 'f', version: '1' }, { versionNegotiation: { mode: 'legacy' } });
        await fresh.connect(sdk === 'v1' ? new TransportV1(new URL(other.mcp), init()) : new TransportV2(new URL(other.mcp), init()));
        for (const one of [client, fresh]) {
            const args = { region: 'zürich', count: 42, deep: { dry: true } };
            const headers = JSON.parse(textOf(await one.callTool({ name: 'region', arguments: args })));
            assert.equal(headers['mcp-param-region'], `=?base64?${Buffer.from('zürich').toString('base64')}?=`);
            assert.deepEqual([headers['mcp-param-count'], headers['mcp-param-dry']], ['42', 'true']);
            await one.close();
        }
    });

    test(`a missing resource is an error with the code that session clients know (${sdk})`, async () => {
        const client = await connectAsked(sdk);
        await assert.rejects(client.readResource({ uri: 'ask://none' }), (error) => error.code === (sdk === 'v1' ? -32002 : -32602));
        await assert.rejects(client.complete({ ref: { type: 'ref/prompt', name: 'asks' }, argument: { name: 'a', value: '' } }));
        await client.ping();
        await client.close();
    });

    test(`log messages follow setLevel, progress finds its call (${sdk})`, async () => {
        const client = await connectAsked(sdk);
        await client.callTool({ name: 'talk', arguments: {} });
        assert.deepEqual(client.heard, []);
        await client.setLoggingLevel('warning');
        await client.callTool({ name: 'talk', arguments: {} });
        await until('both messages are here', () => client.heard.length >= 2);
        assert.deepEqual(client.heard.map((message) => message.params.level), ['warning', 'error']);
        const steps = [];
        const options = { onprogress: (progress) => steps.push(progress.progress) };
        await client.callTool({ name: 'progress', arguments: {} }, ...(sdk === 'v1' ? [undefined, options] : [options]));
        await until('all steps are here', () => steps.length >= 3);
        assert.deepEqual(steps, [1, 2, 3]);
        await client.close();
    });

    test(`cancelling a call closes the server's stream (${sdk})`, async () => {
        const client = await connectAsked(sdk);
        const before = await asking.stats();
        const abort = new AbortController();
        const call = sdk === 'v1'
            ? client.callTool({ name: 'slow', arguments: {} }, undefined, { signal: abort.signal })
            : client.callTool({ name: 'slow', arguments: {} }, { signal: abort.signal });
        await until('the call has begun', async () => (await asking.stats()).started > before.started);
        abort.abort('enough');
        await assert.rejects(call);
        await until('the server knows', async () => (await asking.stats()).cancelled > before.cancelled);
        await client.close();
    });

    test(`changes reach the GET stream, also after the server's stream broke (${sdk})`, async () => {
        const client = await connectAsked(sdk);
        await until('the server is listened to', async () => (await asking.stats()).listens > 0);
        const hears = (method, publish) => until(`${method} is heard`, async () => {
            await publish();
            return client.heard.some((message) => message.method === method);
        });
        await hears('notifications/tools/list_changed', () => asking.publish('tools'));
        await hears('notifications/prompts/list_changed', () => asking.publish('prompts'));
        await hears('notifications/resources/list_changed', () => asking.publish('resources'));
        assert.doesNotMatch(JSON.stringify(client.heard), /subscriptionId/);

        await client.subscribeResource({ uri: 'ask://one' });
        await asking.publish('updated', 'ask://two');
        await asking.publish('updated', 'ask://one');
        await until('the update is heard', () => client.heard.some((message) => message.method === 'notifications/resources/updated'));
        assert.deepEqual(client.heard.filter((message) => message.params?.uri).map((message) => message.params.uri), ['ask://one']);

        client.heard.length = 0;
        await asking.break();
        await until('what may have been missed is said', () => ['notifications/tools/list_changed', 'notifications/resources/updated']
            .every((method) => client.heard.some((message) => message.method === method)));
        client.heard.length = 0;
        await asking.publish('updated', 'ask://one');
        await until('the new stream works', () => client.heard.some((message) => message.method === 'notifications/resources/updated'));

        await client.unsubscribeResource({ uri: 'ask://one' });
        client.heard.length = 0;
        await asking.publish('updated', 'ask://one');
        await hears('notifications/tools/list_changed', () => asking.publish('tools'));
        assert.equal(client.heard.some((message) => message.method === 'notifications/resources/updated'), false);
        await client.close();
    });
}
