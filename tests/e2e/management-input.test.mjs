// Every management tool against wrong input: the error names the path, what was given and what is expected.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { allTools, noteListed } from './lib/schema.mjs';
import { rpc } from './lib/http.mjs';
import { startTulle } from './lib/tulle.mjs';
import { required, wrongType } from './lib/wrong_input.mjs';

let tulle, boss, tools;
before(async () => {
    tulle = await startTulle();
    boss = await tulle.makeOrg('boss', '--operator');
    tools = await allTools(tulle, boss.key);
    noteListed(tools.keys());
});
after(() => tulle?.end());

test('the tools of this release are all there', () => {
    const family = (prefix, ...verbs) => verbs.map((verb) => `${prefix}_${verb}`);
    for (const name of [
        ...family('ORGANIZATION', 'CREATE', 'LIST', 'GET', 'UPDATE', 'DELETE', 'MEMBER_ADD', 'MEMBER_REMOVE', 'MEMBER_LIST', 'MEMBER_UPDATE_ROLE',
            'ROLE_CREATE', 'ROLE_LIST', 'ROLE_UPDATE', 'ROLE_DELETE', 'POLICY_EXPLAIN', 'AUDIT_LIST'),
        ...family('CONNECTION', 'CREATE', 'LIST', 'GET', 'UPDATE', 'DELETE', 'TEST', 'ENABLE', 'DISABLE', 'TOOLS_LIST', 'TOOL_UPDATE', 'TOOL_CALL',
            'CREDENTIAL_SET', 'CREDENTIAL_DELETE', 'CREDENTIAL_STATUS', 'CALLS_LIST', 'CALL_GET', 'CONFIGURE'),
        ...family('COLLECTION_CONNECTIONS', 'CREATE', 'LIST', 'GET', 'UPDATE', 'DELETE'),
        ...family('API_KEY', 'CREATE', 'LIST', 'UPDATE', 'ROTATE', 'DELETE'),
        ...family('USER', 'GET', 'UPDATE'),
    ]) assert.ok(tools.has(name), name);
});

/** True for tools whose input may hold a credential: their errors name the place and never repeat what was given. */
const carriesSecrets = ({ properties = {} }) => ['credential', 'bearer', 'env', 'arguments', 'values', 'data', 'client_secret'].some((field) => field in properties);

test('an unknown field is refused by name, for every tool', async () => {
    for (const [name, { inputSchema }] of tools) {
        const error = await tulle.refuse(name, { ...required(inputSchema), nonsense_field: 1 }, boss, 400);
        if (!carriesSecrets(inputSchema)) assert.match(error.message, /nonsense_field/, `${name}: ${error.message}`);
    }
});

test('a missing field is refused by name, for every tool that requires one', async () => {
    for (const [name, { inputSchema }] of tools)
        for (const field of inputSchema.required ?? []) {
            const { [field]: _, ...rest } = required(inputSchema);
            const error = await tulle.refuse(name, rest, boss, 400);
            assert.match(error.message, new RegExp(field), name);
        }
});

test('a value of the wrong type is refused with path, given and expected, for every field of every tool', async () => {
    for (const [name, { inputSchema }] of tools)
        for (const [field, schema] of Object.entries(inputSchema.properties ?? {})) {
            const wrong = wrongType(schema);
            if (wrong === undefined) continue;
            const error = await tulle.refuse(name, { ...required(inputSchema), [field]: wrong }, boss, 400);
            assert.match(error.message, new RegExp(field), `${name}.${field}: ${error.message}`);
            if (!carriesSecrets(inputSchema)) assert.match(error.message, new RegExp(String(wrong)), `${name}.${field}: ${error.message}`);
            else assert.ok(!error.message.includes(String(wrong)), `${name}.${field} may hold a secret: ${error.message}`);
            assert.match(error.message, /expected/i, `${name}.${field}: ${error.message}`);
        }
});

test('through MCP the same failure is isError with the envelope as text and no structuredContent', async () => {
    const { status, body } = await rpc(`${tulle.url}/mcp`, 'tools/call', { name: 'CONNECTION_LIST', arguments: { limit: 500 } }, boss);
    assert.equal(status, 200);
    assert.equal(body.result.isError, true);
    assert.equal(body.result.structuredContent, undefined);
    assert.equal(body.result.content.length, 1);
    const { error } = JSON.parse(body.result.content[0].text);
    assert.match(error.message, /limit.*500/);
});

test('an unknown tool is -32602 over MCP and 404 over HTTP', async () => {
    const { body } = await rpc(`${tulle.url}/mcp`, 'tools/call', { name: 'NO_SUCH_TOOL', arguments: {} }, boss);
    assert.equal(body.error.code, -32602);
    await tulle.refuse('NO_SUCH_TOOL', {}, boss, 404);
});

test('over HTTP a body that is not an object, or not JSON, is refused', async () => {
    const { send } = await import('./lib/http.mjs');
    const url = `${tulle.url}/api/tools/CONNECTION_LIST`;
    for (const body of ['[]', '1', '"x"', '{', 'null']) {
        const answer = await send(url, { key: boss.key, body });
        assert.equal(answer.status, 400, `${body}: ${answer.text}`);
    }
    assert.equal((await send(url, { key: boss.key, body: '{}', headers: { 'content-type': 'text/plain' } })).status, 415);
    assert.equal((await send(url, { key: boss.key, body: '', headers: {} })).status, 200, 'an empty body is {}');
    assert.equal((await send(url, { body: '{}' })).status, 401);
});
