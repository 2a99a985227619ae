// Health, metrics and what every answer carries.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { send } from './lib/http.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, org;
before(async () => {
    tulle = await startTulle();
    org = await tulle.makeOrg('healthy-people');
});
after(() => tulle?.end());

const get = (path, options) => send(tulle.url + path, { method: 'GET', ...options });

for (const path of ['/health', '/health/live', '/health/ready'])
    test(`GET ${path} is 200 JSON without a token and without tenant data`, async () => {
        const answer = await get(path);
        assert.equal(answer.status, 200, answer.text);
        assert.match(answer.headers['content-type'], /^application\/json/);
        assert.equal(typeof answer.body, 'object');
        assert.ok(!answer.text.includes(org.org_id) && !answer.text.includes(org.slug), answer.text);
    });

test('metrics are Prometheus text with help, type and names of ours', async () => {
    const answer = await get('/metrics');
    assert.equal(answer.status, 200);
    assert.match(answer.headers['content-type'], /^text\/plain/);
    const lines = answer.text.trimEnd().split('\n');
    const sample = /^[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\["\\n])*",?)*\})? (NaN|[+-]?Inf|[-+0-9.eE]+)( \d+)?$/;
    for (const line of lines) assert.match(line, line.startsWith('#') ? /^# (HELP|TYPE) (tulle|process)_/ : sample);
    for (const name of ['tulle_http_requests_total', 'tulle_calls_total', 'tulle_audit_rows_total', 'tulle_fibers'])
        assert.ok(lines.some((line) => line.startsWith(`# TYPE ${name} `)), name);
    assert.ok(!answer.text.includes(org.org_id) && !answer.text.includes(org.slug), 'no tenant data');
});

test('counters grow', async () => {
    const count = async () => Number(/^tulle_http_requests_total(?:\{[^}]*\})? (\d+)/m.exec((await get('/metrics')).text)[1]);
    const before = await count();
    await get('/health');
    assert.ok(await count() > before);
});

test('METRICS_TOKEN guards the metrics', async () => {
    const guarded = await startTulle({ env: { METRICS_TOKEN: 'a-token-for-metrics' } });
    const at = (key) => send(`${guarded.url}/metrics`, { method: 'GET', key });
    assert.equal((await at(undefined)).status, 401);
    assert.equal((await at('wrong')).status, 401);
    assert.equal((await at('a-token-for-metrics')).status, 200);
    await guarded.end();
});

test('every answer has its own request id, and the log line has the same', async () => {
    const ids = [];
    for (const path of ['/health', '/no/such/path', '/mcp']) ids.push((await get(path)).headers['x-request-id']);
    assert.equal(new Set(ids).size, 3);
    for (const id of ids) assert.match(id, /^\S{8,}$/);
    assert.ok(tulle.child.err.includes(ids[1]), 'the log names the request id');
});

test('an unknown path is 404 in the envelope, a wrong method 405 with Allow', async () => {
    const unknown = await get('/no/such/path');
    assert.equal(unknown.status, 404);
    assert.equal(unknown.body.error.request_id, unknown.headers['x-request-id']);
    const wrong = await send(`${tulle.url}/health`, { method: 'DELETE' });
    assert.equal(wrong.status, 405);
    assert.match(wrong.headers.allow, /GET/);
});

test('HEAD answers like GET without a body', async () => {
    const answer = await send(`${tulle.url}/health`, { method: 'HEAD' });
    assert.equal(answer.status, 200);
    assert.equal(answer.text, '');
});

test('a trailing slash is served, not redirected', async () => {
    assert.equal((await get('/health/')).status, 200);
    const { status } = await send(`${tulle.url}/mcp/`, { key: org.key, body: { jsonrpc: '2.0', id: 1, method: 'tools/list' } });
    assert.equal(status, 200);
});

test('traceparent of the caller is kept on the way to the log', async () => {
    const trace = '0af7651916cd43dd8448eb211c80319c';
    await get('/health', { headers: { traceparent: `00-${trace}-b7ad6b7169203331-01` } });
    await send(`${tulle.url}/mcp`, {
        key: org.key, headers: { traceparent: `00-${trace}-b7ad6b7169203331-01` }, body: { jsonrpc: '2.0', id: 1, method: 'tools/list' },
    });
    assert.ok(tulle.child.err.includes(trace), 'a log line carries the trace id');
});
