// Everything that a server can offer passes, whatever the eras of client and server: what no revision names, too.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { startRaw } from './lib/servers.mjs';
import { kinds, speak } from './lib/speakers.mjs';
import { startTulle } from './lib/tulle.mjs';

const eras = ['session', 'modern'];
let tulle, org;
const servers = {}, cells = [];
before(async () => {
    [tulle, servers.session, servers.modern] = await Promise.all([startTulle(), startRaw(), startRaw({ isModern: true })]);
    org = await tulle.makeOrg('acme');
    for (const era of eras) {
        const connection = await tulle.connect(org, { name: era, slug: `pass-${era}`, url: servers[era].url });
        for (const kind of kinds) {
            cells.push({ era, kind, way: 'direct', what: `${kind} client, ${era} server`, url: connection.mcp, prefix: '' });
            cells.push({ era, kind, way: 'hub', what: `${kind} client, hub, ${era} server`, url: `${tulle.url}/mcp/hub`, prefix: `pass-${era}__` });
        }
    }
    for (const cell of cells) cell.client = await speak(cell.kind, cell.url, org.key);
});
after(() => tulle?.end());

const icons = [{ src: 'data:image/png;base64,iVBORw0KGgo=', mimeType: 'image/png', sizes: ['48x48', 'any'], theme: 'dark' }];
const annotations = { audience: ['user', 'assistant'], priority: 0.25, lastModified: '2026-01-02T03:04:05Z', 'example.test/own': null };
const meta = { 'example.test/kept': { deep: [1, 2.5, true], text: 'søster \u0000 "q"' } };
const unknown = { exampleUnknown: { keep: true }, zzz: [] };
const content = [
    { type: 'text', text: 'æ \u2028 "quoted"', annotations, _meta: meta, ...unknown },
    { type: 'image', data: 'iVBORw0KGgo=', mimeType: 'image/png', annotations, _meta: meta },
    { type: 'audio', data: 'UklGRg==', mimeType: 'audio/wav', _meta: meta },
    { type: 'resource', resource: { uri: 'raw://one', mimeType: 'text/plain', text: 'one', _meta: meta }, annotations },
    { type: 'resource', resource: { uri: 'raw://two', mimeType: 'application/octet-stream', blob: 'AAEC' } },
    { type: 'resource_link', uri: 'raw://one', name: 'one', title: 'One', description: 'd', mimeType: 'text/plain', size: 3, icons, annotations, _meta: meta },
];
const app = 'ui://raw/view.html';
const results = {
    'tools/list': [{}, {
        tools: [{
            name: 'echo', title: 'Echo', description: 'says it again', icons, annotations: { title: 'E', readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false, ...unknown },
            inputSchema: { type: 'object', properties: { text: { type: 'string' } }, $defs: {}, additionalProperties: false },
            outputSchema: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] }, _meta: { ui: { resourceUri: app, visibility: ['model', 'app'] }, ...meta }, ...unknown,
        }],
    }],
    'tools/call': [{ name: 'echo', arguments: { text: 'x', big: 12345678901234567000 }, _meta: meta }, { content, structuredContent: { n: 1, nested: [null, { a: 'b' }] }, isError: false, ...unknown }],
    'resources/list': [{}, { resources: [{ uri: app, name: 'view', title: 'View', mimeType: 'text/html;profile=mcp-app', size: 12, icons, annotations, _meta: { ui: { csp: { connectDomains: [] } }, ...meta }, ...unknown }] }],
    'resources/templates/list': [{}, { resourceTemplates: [{ uriTemplate: 'raw://page/{n}', name: 'page', title: 'Page', icons, annotations, _meta: meta, ...unknown }] }],
    'resources/read': [{ uri: app }, {
        contents: [{ uri: app, mimeType: 'text/html;profile=mcp-app', text: '<html>app</html>', _meta: { ui: { csp: { connectDomains: ['https://a.example'] }, prefersBorder: true } }, ...unknown },
            { uri: 'raw://blob', mimeType: 'application/octet-stream', blob: 'AAECAwQ=' }],
        ...unknown,
    }],
    'prompts/list': [{}, { prompts: [{ name: 'one', title: 'One', description: 'd', icons, arguments: [{ name: 'a', title: 'A', description: 'x', required: true, ...unknown }], _meta: meta, ...unknown }] }],
    'prompts/get': [{ name: 'one', arguments: { a: 'b' } }, { description: 'd', messages: content.slice(0, 5).map((one) => ({ role: 'user', content: one })), ...unknown }],
    'completion/complete': [{ ref: { type: 'ref/prompt', name: 'one' }, argument: { name: 'a', value: 'x' }, context: { arguments: { b: 'c' } } }, { completion: { values: ['x1', 'x2'], total: 2, hasMore: false }, ...unknown }],
    'example.test/own': [{ anything: { goes: [true] } }, { mine: { deep: 1 }, ...unknown }],
};

/** What the eras themselves add to a result. */
function bare(result) {
    const { resultType, ttlMs, cacheScope, _meta: { 'io.modelcontextprotocol/serverInfo': info, ...own } = {}, ...rest } = result;
    return { ...rest, ...(Object.keys(own).length > 0 && { _meta: own }) };
}

for (const [method, [params, result]] of Object.entries(results))
    test(`${method}: the result passes as it is, and the request too`, async () => {
        for (const cell of cells.filter(({ way }) => way === 'direct')) {
            const server = servers[cell.era];
            const cacheable = method.endsWith('/list') || method === 'resources/read' ? { ttlMs: 0, cacheScope: 'private' } : {};
            const given = { ...result, _meta: meta };
            await server.plan({ [method]: { name: 'result', result: cell.era === 'modern' ? { ...given, resultType: 'complete', ...cacheable } : given } });
            await server.forget();
            const { status, body, text } = await cell.client.ask(method, params);
            assert.equal(status, 200, `${cell.what}: ${text}`);
            // A bare client has no revision that knows audio and links; it is shown what it can read.
            if (cell.kind === 'bare' && /^(tools\/call|prompts\/get)$/.test(method)) assert.equal((body.result.content ?? body.result.messages).length, (given.content ?? given.messages).length, cell.what);
            else assert.deepEqual(bare(body.result), given, cell.what);
            assert.equal(body.result.resultType, cell.kind === 'modern' ? 'complete' : cell.kind === 'bare' ? body.result.resultType : undefined, `${cell.what}: ${text.slice(-300)}`);
            const sent = JSON.parse((await server.seen()).find((one) => one.body.includes(`"${method}"`)).body).params;
            const { _meta: sentMeta = {}, ...rest } = sent;
            const { _meta: wanted = {}, ...wantedRest } = params;
            assert.deepEqual(rest, wantedRest, cell.what);
            for (const [key, value] of Object.entries(wanted)) assert.deepEqual(sentMeta[key], value, cell.what);
            await server.plan({});
        }
    });

test('through the hub a call\'s result passes with all that names no address', async () => {
    const given = { content: content.slice(0, 3), structuredContent: { n: 1 }, isError: false, _meta: meta, ...unknown };
    for (const cell of cells.filter(({ way, kind }) => way === 'hub' && kind !== 'bare')) {
        assert.ok((await cell.client.ask('tools/list')).body.result, cell.what);
        await servers[cell.era].plan({ 'tools/call': { name: 'result', result: cell.era === 'modern' ? { ...given, resultType: 'complete' } : given } });
        const { body, text } = await cell.client.tool(`${cell.prefix}echo`, { text: 'x' });
        assert.ok(body.result, `${cell.what}: ${text}`);
        assert.deepEqual(bare(body.result), given, cell.what);
        await servers[cell.era].plan({});
    }
});

test('the tasks extension of the stateless revision passes between two that speak it', async () => {
    const { client } = cells.find(({ kind, era, way }) => kind === 'modern' && era === 'modern' && way === 'direct');
    const task = { resultType: 'task', task: { taskId: 'task-1', status: 'working', ttlMs: 1000, ...unknown } };
    const done = { resultType: 'complete', taskId: 'task-1', status: 'completed', result: { content: [{ type: 'text', text: 'done' }] } };
    await servers.modern.plan({ 'tools/call': { name: 'result', result: task }, 'tasks/get': { name: 'result', result: done } });
    assert.deepEqual((await client.tool('echo')).body.result, task);
    assert.deepEqual((await client.ask('tasks/get', { taskId: 'task-1' })).body.result, done);
    await servers.modern.plan({});
});

const anonymousKiB = () => Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${tulle.child.pid}/status`, 'utf8'))[1]);

test('an answer of 40 MB streams in bounded memory, or is refused as too large', async () => {
    for (const cell of cells) {
        if (cell.way === 'hub') await cell.client.ask('tools/list');
        const before = anonymousKiB();
        const { body } = await cell.client.tool(`${cell.prefix}huge`, { mb: 40 }).catch((error) => assert.fail(`${cell.what}: ${error}`));
        assert.ok(anonymousKiB() - before < 100 * 1024, `${cell.what}: ${anonymousKiB() - before} KiB`);
        // What must be rewritten for the session era is held whole, and that has a maximum (spec/mcp.md).
        if (cell.kind === 'session' && cell.era === 'modern') assert.match(body.error.message, /larger than \d+ bytes/, cell.what);
        else assert.equal(body.result?.content[0].text.length, 40 * 1024 * 1024, cell.what);
    }
});
