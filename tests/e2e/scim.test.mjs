// SCIM 2.0 as Okta and Entra ID speak it, hostile input, isolation of organizations, deactivation. Numbers in brackets: the
// rows of the abuse matrix.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Dns } from './lib/dns.mjs';
import { startV1 } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { makeClient, makeOwner, makePerson, obtainTokens, refresh, signedIn } from './lib/oauth.mjs';
import { until } from './lib/children.mjs';
import { rpc, send } from './lib/http.mjs';
import { guard } from './lib/secrets.mjs';

const USER = 'urn:ietf:params:scim:schemas:core:2.0:User';
const GROUP = 'urn:ietf:params:scim:schemas:core:2.0:Group';
const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';
const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp';

let tulle, org, other, admin, tokens, connection, dns;
before(async () => {
    dns = await new Dns().start();
    const [program, server] = await Promise.all([startTulle({ env: { DNS_SERVER: dns.address } }), startV1()]);
    tulle = program;
    org = await makeOwner(tulle, 'acme');
    other = await makeOwner(tulle, 'other');
    connection = await tulle.connect(org, { name: 'echo', url: server.url });
    const person = await makePerson(tulle, 'admin@acme.example');
    await use('ORGANIZATION_MEMBER_ADD', { email: person.email, role: 'admin' });
    admin = { ...person, key: await tulle.makeKey('acme', person.email) };
    tokens = {};
    for (const [name, who] of Object.entries({ acme: org, other, admin })) {
        const made = await use('ORGANIZATION_SCIM_TOKEN_CREATE', { name: `of ${name}` }, who);
        tokens[name] = { id: made.item.id, text: guard(made.token, 'SCIM token') };
        assert.match(made.item.id, /^scim_[0-9a-f]{32}$/);
        assert.equal(made.url, `http://localhost:${tulle.port}/scim/v2`);
    }
});
after(async () => {
    await tulle?.end();
    await dns?.end();
});

const use = (name, args = {}, who = org) => tulle.use(name, args, who);
async function scim(method, path, body, { token = tokens.acme.text, headers = {} } = {}) {
    const answer = await send(`${tulle.url}/scim/v2${path}`, {
        method, headers: { ...(body !== undefined && { 'content-type': 'application/scim+json' }), ...(token && { authorization: `Bearer ${token}` }), ...headers },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    return answer;
}
async function good(status, ...args) {
    const answer = await scim(...args);
    assert.equal(answer.status, status, `${args[0]} ${args[1]}: ${answer.text}`);
    if (status !== 204) assert.match(answer.headers['content-type'], /^application\/scim\+json/);
    return answer.body;
}
async function bad(status, scimType, ...args) {
    const answer = await scim(...args);
    assert.equal(answer.status, status, `${args[0]} ${args[1]}: ${answer.text}`);
    assert.deepEqual(answer.body.schemas, ['urn:ietf:params:scim:api:messages:2.0:Error']);
    assert.equal(answer.body.status, String(status));
    assert.equal(answer.body.scimType, scimType, answer.text);
    assert.equal(typeof answer.body.detail, 'string');
    return answer.body;
}
const find = async (filter, place = 'Users') => good(200, 'GET', `/${place}?filter=${encodeURIComponent(filter)}`);
const okta = (name, more = {}) => ({
    schemas: [USER], userName: `${name}@corp.example`, name: { givenName: name, familyName: 'Okta' },
    emails: [{ primary: true, value: `${name}@corp.example`, type: 'work' }], displayName: `${name} Okta`, locale: 'en-US',
    externalId: `00u_${name}`, groups: [], password: guard(`Pw-${name}-1mXk9`, 'password by SCIM'), active: true, ...more,
});
const entra = (name) => ({
    schemas: [USER, ENTERPRISE], externalId: name, userName: `${name}@contoso.example`, active: true,
    emails: [{ primary: true, type: 'work', value: `${name}@contoso.example` }], meta: { resourceType: 'User' },
    name: { formatted: `${name} Entra`, familyName: 'Entra', givenName: name }, roles: [], [ENTERPRISE]: { department: 'Rockets' },
});
const patch = (...Operations) => ({ schemas: [PATCH], Operations });

test('what the server can do is said', async () => {
    const config = await good(200, 'GET', '/ServiceProviderConfig');
    assert.deepEqual([config.patch.supported, config.bulk.supported, config.filter.supported, config.etag.supported], [true, false, true, true]);
    const types = await good(200, 'GET', '/ResourceTypes');
    assert.deepEqual(types.Resources.map((type) => [type.id, type.endpoint]), [['User', '/Users'], ['Group', '/Groups']]);
    assert.equal((await good(200, 'GET', '/ResourceTypes/User')).schemaExtensions[0].schema, ENTERPRISE);
    const schemas = await good(200, 'GET', '/Schemas');
    assert.deepEqual(schemas.Resources.map((schema) => schema.id), [USER, ENTERPRISE, GROUP]);
    assert.ok((await good(200, 'GET', `/Schemas/${USER}`)).attributes.some((one) => one.name === 'userName' && one.required));
    await bad(404, undefined, 'GET', '/Schemas/urn:nope');
});

test('tokens: shown once, listed by their beginning, used, revoked; nothing else opens SCIM, and they open nothing else', async () => {
    const made = await use('ORGANIZATION_SCIM_TOKEN_CREATE', { name: 'short', expires_in_days: 1 });
    guard(made.token, 'SCIM token');
    await good(200, 'GET', '/Users', undefined, { token: made.token });
    const { items } = await use('ORGANIZATION_SCIM_TOKEN_LIST');
    const shown = items.find((item) => item.id === made.item.id);
    assert.ok(shown.last_used_at && shown.is_owners && made.token.startsWith(shown.prefix));
    assert.ok(!JSON.stringify(items).includes(made.token));
    assert.equal(items.find((item) => item.id === tokens.admin.id).is_owners, false);
    await tulle.refuse('ORGANIZATION_SCIM_TOKEN_REVOKE', { scim_token_id: tokens.other.id }, org, 404);
    await use('ORGANIZATION_SCIM_TOKEN_REVOKE', { scim_token_id: made.item.id });
    for (const token of [made.token, org.key, 'tulle_scim_nonsense', 'x', null]) {
        const { status, headers, body } = await scim('GET', '/Users', undefined, { token });
        assert.equal(status, 401);
        assert.match(headers['www-authenticate'], /^Bearer/);
        assert.equal(body.status, '401');
    }
    assert.equal((await tulle.tool('ORGANIZATION_GET', {}, { key: tokens.acme.text })).status, 401);
    assert.equal((await rpc(connection.mcp, 'tools/list', {}, { key: tokens.acme.text })).status, 401);
});

test('Okta: look up, create, read, replace, deactivate, activate', async () => {
    assert.equal((await find('userName eq "ada@corp.example"')).totalResults, 0);
    const { status, headers, body: made } = await scim('POST', '/Users', okta('ada'));
    assert.equal(status, 201);
    assert.equal(headers.location, made.meta.location);
    assert.equal(headers.etag, made.meta.version);
    assert.match(made.id, /^usr_/);
    assert.deepEqual([made.userName, made.externalId, made.active, made.name.familyName], ['ada@corp.example', '00u_ada', true, 'Okta']);
    assert.ok(!JSON.stringify(made).includes('Pw-'), 'passwords are never shown');
    const found = await find('userName eq "ADA@corp.example"');
    assert.deepEqual([found.totalResults, found.Resources[0].id], [1, made.id]);
    assert.equal((await find('externalId eq "00u_ada"')).totalResults, 1);
    assert.equal((await find('externalId eq "00U_ADA"')).totalResults, 0, 'external ids are exact');
    const replaced = await good(200, 'PUT', `/Users/${made.id}`, okta('ada', { displayName: 'Ada L.', title: 'Countess', id: made.id }));
    assert.deepEqual([replaced.displayName, replaced.title], ['Ada L.', 'Countess']);
    const off = await good(200, 'PATCH', `/Users/${made.id}`, patch({ op: 'replace', value: { active: false } }));
    assert.equal(off.active, false);
    const on = await good(200, 'PATCH', `/Users/${made.id}`, patch({ op: 'replace', value: { active: true, nickName: 'A' } }));
    assert.deepEqual([on.active, on.nickName, on.title], [true, 'A', 'Countess']);
    const listed = (await use('ORGANIZATION_MEMBER_LIST', { limit: 100 })).items.find((m) => m.user_id === made.id);
    assert.deepEqual([listed.email, listed.roles, listed.active], ['ada@corp.example', ['member'], true]);
});

test('[265] Entra: capitals, paths with filters, words for truth, members by value', async () => {
    const made = await good(201, 'POST', '/Users', entra('bob'));
    assert.equal(made[ENTERPRISE].department, 'Rockets');
    const changed = await good(200, 'PATCH', `/Users/${made.id}`, {
        Operations: [
            { op: 'Add', path: 'nickName', value: 'Bobby' },
            { op: 'Replace', path: 'emails[type eq "work"].value', value: 'bob.new@contoso.example' },
            { op: 'Add', path: 'phoneNumbers[type eq "mobile"].value', value: '+1 555' },
            { op: 'Replace', path: 'name.givenName', value: 'Robert' },
            { op: 'Add', path: `${ENTERPRISE}:department`, value: 'Boats' },
            { op: 'Add', path: `${ENTERPRISE}:manager`, value: 'm-1' },
            { op: 'Replace', value: { 'name.familyName': 'B', [`${ENTERPRISE}:costCenter`]: '42' } },
            { op: 'REPLACE', path: 'active', value: 'False' },
        ],
    });
    assert.deepEqual([changed.nickName, changed.emails[0].value, changed.name.givenName, changed.name.familyName], ['Bobby', 'bob.new@contoso.example', 'Robert', 'B']);
    assert.deepEqual(changed.phoneNumbers, [{ type: 'mobile', value: '+1 555' }]);
    assert.deepEqual(changed[ENTERPRISE], { department: 'Boats', manager: { value: 'm-1' }, costCenter: '42' });
    assert.equal(changed.active, false);
    const back = await good(200, 'PATCH', `/Users/${made.id}`, patch({ op: 'Replace', path: 'active', value: 'True' }, { op: 'Remove', path: 'phoneNumbers[type eq "mobile"]' }));
    assert.deepEqual([back.active, back.phoneNumbers], [true, undefined]);
    for (const [type, ...operations] of [
        ['invalidPath', { op: 'Replace', path: 'shoeSize', value: 'x' }], ['invalidPath', { op: 'Replace', path: 'name.shoe', value: 'x' }],
        ['invalidPath', { op: 'Replace', path: 'emails[type eq', value: 'x' }], ['invalidPath', { op: 'Add', path: 'urn:x:y:z', value: 'x' }],
        ['noTarget', { op: 'Remove' }], ['invalidSyntax', { op: 'Explode', path: 'title' }], ['mutability', { op: 'Replace', path: 'id', value: 'usr_1' }],
        ['invalidValue', { op: 'Replace', path: 'active', value: 'maybe' }], ['invalidValue', { op: 'Replace', path: 'title' }],
        ['invalidValue', { op: 'Remove', path: 'userName' }], ['noTarget', { op: 'Replace', path: 'emails[value co "zzz"].type', value: 'x' }],
    ]) await bad(400, type, 'PATCH', `/Users/${made.id}`, patch(...operations));
    await bad(400, 'invalidSyntax', 'PATCH', `/Users/${made.id}`, { schemas: [PATCH] });
    assert.equal((await good(200, 'GET', `/Users/${made.id}`)).title, undefined);

    const group = await good(201, 'POST', '/Groups', { schemas: [GROUP, 'http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group'], externalId: 'g-1', displayName: 'Rocketeers', meta: { resourceType: 'Group' } });
    assert.equal(group.members, undefined);
    const filled = await good(200, 'PATCH', `/Groups/${group.id}`, patch({ op: 'Add', path: 'members', value: [{ $ref: null, value: made.id }] }));
    assert.deepEqual(filled.members.map((m) => m.value), [made.id]);
    assert.deepEqual((await good(200, 'GET', `/Users/${made.id}`)).groups.map((g) => g.display), ['Rocketeers']);
    const found = await good(200, 'GET', `/Groups?excludedAttributes=members&filter=${encodeURIComponent('displayName eq "rocketeers"')}`);
    assert.deepEqual([found.totalResults, found.Resources[0].members], [1, undefined]);
    const emptied = await good(200, 'PATCH', `/Groups/${group.id}`, patch({ op: 'Remove', path: 'members', value: [{ value: made.id }] }));
    assert.equal(emptied.members, undefined);
    await good(200, 'PATCH', `/Groups/${group.id}`, patch({ op: 'Add', path: 'members', value: [{ value: made.id }] }));
    const byPath = await good(200, 'PATCH', `/Groups/${group.id}`, patch({ op: 'Remove', path: `members[value eq "${made.id}"]` }, { op: 'Replace', path: 'displayName', value: 'Astronauts' }));
    assert.deepEqual([byPath.members, byPath.displayName, byPath.externalId], [undefined, 'Astronauts', 'g-1']);
    await good(204, 'DELETE', `/Groups/${group.id}`);
    await bad(404, undefined, 'GET', `/Groups/${group.id}`);
});

test('Okta pushes a group; what it gives is said by the organization and takes effect', async () => {
    const user = await good(201, 'POST', '/Users', okta('gus'));
    const key = await tulle.makeKey('acme', user.userName);
    const group = await good(201, 'POST', '/Groups', { schemas: [GROUP], displayName: 'Managers', members: [{ value: user.id, display: user.userName }] });
    assert.deepEqual(group.members.map((m) => m.value), [user.id]);
    await bad(409, 'uniqueness', 'POST', '/Groups', { schemas: [GROUP], displayName: 'Managers' });
    await use('ORGANIZATION_GROUP_UPDATE', { group_id: group.id, roles: ['admin'] });
    const may = async () => (await tulle.tool('ORGANIZATION_ROLE_CREATE', { name: `r ${Math.random()}`, statements: [] }, { key })).status === 200;
    await until('the group counts', may);
    const put = await good(200, 'PUT', `/Groups/${group.id}`, { schemas: [GROUP], id: group.id, displayName: 'Managers', members: [] });
    assert.equal(put.members, undefined);
    await until('the lost group counts no more', async () => !await may());
    assert.deepEqual((await use('ORGANIZATION_GROUP_LIST')).items.find((g) => g.id === group.id).roles, ['admin'], 'roles stay what the organization said');
    await bad(400, 'invalidValue', 'PATCH', `/Groups/${group.id}`, patch({ op: 'add', path: 'members', value: [{ value: 'usr_f00dfeedf00dfeedf00dfeedf00dfeed' }] }));
    await bad(400, 'invalidValue', 'PATCH', `/Groups/${group.id}`, patch({ op: 'add', path: 'members', value: [{ value: other.user_id }] }));
});

test('filters, pages and attributes', async () => {
    for (const name of ['f1', 'f2', 'f3']) await good(201, 'POST', '/Users', okta(name, { title: name === 'f3' ? 'Boss' : 'Hand' }));
    const names = async (filter) => (await find(filter)).Resources.map((user) => user.userName.split('@')[0]).sort();
    assert.deepEqual(await names('userName sw "f" and title eq "hand"'), ['f1', 'f2']);
    assert.deepEqual(await names('userName sw "f" and not (title eq "Hand")'), ['f3']);
    assert.deepEqual(await names('(userName eq "f1@corp.example") or (externalId eq "00u_f2")'), ['f1', 'f2']);
    assert.deepEqual(await names('emails[type eq "work" and value co "f3@"]'), ['f3']);
    assert.deepEqual(await names('emails.value ew "f2@corp.example"'), ['f2']);
    assert.deepEqual(await names('title pr and userName sw "f"'), ['f1', 'f2', 'f3']);
    assert.deepEqual(await names('USERNAME SW "F" AND Title NE "Hand"'), ['f3']);
    assert.deepEqual(await names('userName sw "f" and meta.created gt "2020-01-01T00:00:00Z"'), ['f1', 'f2', 'f3']);
    assert.deepEqual(await names('userName sw "f" and active eq false'), []);
    const all = await good(200, 'GET', '/Users?count=200');
    assert.equal(all.totalResults, all.Resources.length);
    const seen = [];
    for (let start = 1; start <= all.totalResults; start += 2) {
        const page = await good(200, 'GET', `/Users?startIndex=${start}&count=2`);
        assert.deepEqual([page.totalResults, page.startIndex, page.itemsPerPage], [all.totalResults, start, page.Resources.length]);
        seen.push(...page.Resources.map((user) => user.id));
    }
    assert.deepEqual(seen, all.Resources.map((user) => user.id));
    assert.equal((await good(200, 'GET', '/Users?count=0')).Resources.length, 0);
    const few = await good(200, 'GET', `/Users?attributes=userName&filter=${encodeURIComponent('userName sw "f"')}&count=1`);
    assert.deepEqual(Object.keys(few.Resources[0]).sort(), ['id', 'schemas', 'userName']);
    assert.ok((await find(`userName eq "${org.email}"`)).Resources[0].id === org.user_id, 'members whom no directory made are found');
});

test('[264] hostile filters are invalid', async () => {
    const deep = `${'('.repeat(100)}title pr${')'.repeat(100)}`;
    for (const filter of ['userName eq "x" or 1 eq 1', `title eq "${'x'.repeat(3000)}"`, deep, 'userName', 'userName eq', 'userName eq x', 'userName like "x"',
        '(title pr', 'title pr)', 'emails[type eq "work"', 'title eq {"a":1}', 'title eq "a" and', 'title eq "a"title pr', ' ', '', 'not title pr', '"a" eq "a"', 'a..b pr',
        `${'not ('.repeat(60)}title pr${')'.repeat(60)}`, "userName eq 'x'; DROP TABLE users"])
        await bad(400, 'invalidFilter', 'GET', `/Users?filter=${encodeURIComponent(filter)}`);
    const { status } = await scim('GET', `/Users?filter=${encodeURIComponent(`title eq "${'x'.repeat(10_000)}"`)}`);
    assert.ok([400, 414, 431].includes(status), `10 kB: ${status}`);
    assert.equal((await find(`userName eq "x' OR '1'='1"`)).totalResults, 0);
    await bad(400, 'invalidValue', 'GET', '/Users?count=many');
    await bad(400, 'invalidValue', 'GET', '/Users?filter=%ff');
    await bad(400, 'invalidValue', 'GET', '/Users?filter=title%20eq%20%22%00%22');
});

test('[267] an existing userName is a conflict; a stale version is refused', async () => {
    const made = await good(201, 'POST', '/Users', okta('dup'));
    await bad(409, 'uniqueness', 'POST', '/Users', okta('dup', { externalId: 'another' }));
    await bad(409, 'uniqueness', 'POST', '/Users', okta('dup2', { userName: 'DUP@corp.example' }));
    const second = await good(201, 'POST', '/Users', okta('dup3'));
    await bad(409, 'uniqueness', 'PATCH', `/Users/${second.id}`, patch({ op: 'replace', path: 'userName', value: 'dup@corp.example' }));
    const stale = made.meta.version;
    const newer = await good(200, 'PATCH', `/Users/${made.id}`, patch({ op: 'replace', path: 'title', value: 'new' }), { headers: { 'if-match': stale } });
    assert.notEqual(newer.meta.version, stale);
    await bad(412, 'precondition', 'PUT', `/Users/${made.id}`, okta('dup'), { headers: { 'if-match': stale } });
    await bad(412, 'precondition', 'DELETE', `/Users/${made.id}`, undefined, { headers: { 'if-match': stale } });
    assert.equal((await scim('GET', `/Users/${made.id}`, undefined, { headers: { 'if-none-match': newer.meta.version } })).status, 304);
    await good(204, 'DELETE', `/Users/${made.id}`, undefined, { headers: { 'if-match': newer.meta.version } });
    await bad(404, undefined, 'GET', `/Users/${made.id}`);
    const again = await good(201, 'POST', '/Users', okta('dup'));
    assert.equal(again.id, made.id, 'whoever was provisioned and removed can be provisioned again');
});

test('[268] bulk: too much is 413, and there is none', async () => {
    const operations = Array.from({ length: 10_001 }, (_, i) => ({ method: 'DELETE', path: `/Users/${i}` }));
    const answer = await scim('POST', '/Bulk', { schemas: ['urn:ietf:params:scim:api:messages:2.0:BulkRequest'], Operations: operations });
    assert.equal(answer.status, 413);
    assert.equal((await scim('POST', '/Bulk', { Operations: [] })).status, 404);
});

test('hostile bodies are refused', async () => {
    for (const [status, type, body] of [
        [400, 'invalidSyntax', '[]'], [400, 'invalidSyntax', '{"userName":"a@b.example"'], [400, 'invalidSyntax', '{"a":1,"a":2}'], [400, 'invalidSyntax', '"x"'],
        [400, 'invalidSyntax', `${'['.repeat(200)}${']'.repeat(200)}`], [400, 'invalidValue', {}], [400, 'invalidValue', { userName: 'no address' }],
        [400, 'invalidValue', { userName: { a: 1 } }], [400, 'invalidValue', { userName: 'a@b.example', active: 'perhaps' }],
        [400, 'invalidValue', { userName: 'a@b.example', emails: 'x'.repeat(300) + '@b.example' }], [400, 'invalidValue', { userName: 'x'.repeat(300) }],
        [400, 'invalidValue', { userName: 'a\u0007@b.example' }], [400, 'invalidValue', { userName: 'a@b.example', name: 'Ann' }],
    ]) await bad(status, type, 'POST', '/Users', body);
    await bad(415, undefined, 'POST', '/Users', okta('zed'), { headers: { 'content-type': 'text/plain' } });
    assert.equal((await scim('POST', '/Users', { userName: 'big@b.example', title: 'x'.repeat(70_000) })).status, 413);
    await bad(400, 'invalidValue', 'POST', '/Groups', { displayName: '' });
    await bad(400, 'invalidValue', 'POST', '/Groups', { displayName: 'Odd', members: [{ value: 'nobody' }] });
    assert.equal((await find('displayName eq "Odd"', 'Groups')).totalResults, 0, 'a group with strangers was not made');
});

test('[263] a directory reaches its own organization only', async () => {
    const theirs = await good(201, 'POST', '/Users', okta('theirs'));
    const group = await good(201, 'POST', '/Groups', { displayName: 'Theirs', members: [{ value: theirs.id }] });
    const token = { token: tokens.other.text };
    for (const [method, body] of [['GET'], ['PUT', okta('x')], ['PATCH', patch({ op: 'replace', path: 'active', value: false })], ['DELETE']]) {
        await bad(404, undefined, method, `/Users/${theirs.id}`, body, token);
        await bad(404, undefined, method, `/Groups/${group.id}`, method === 'PUT' ? { displayName: 'x' } : body, token);
    }
    const list = await good(200, 'GET', '/Users', undefined, token);
    assert.deepEqual(list.Resources.map((user) => user.id), [other.user_id]);
    assert.equal((await good(200, 'GET', '/Groups', undefined, token)).totalResults, 0);
    await bad(400, 'invalidValue', 'POST', '/Groups', { displayName: 'Mixed', members: [{ value: theirs.id }] }, token);
    assert.equal((await good(200, 'GET', `/Users/${theirs.id}`)).active, true);
    // Somebody else's account joins only by a proven domain, and keeps its own name, address and password.
    await bad(403, undefined, 'POST', '/Users', okta('x', { userName: other.email, emails: [{ value: other.email, primary: true }] }));
    await bad(403, undefined, 'POST', '/Users', okta('x', { userName: 'mine@corp.example', emails: [{ value: other.email, primary: true }] }));
    assert.equal((await use('ORGANIZATION_MEMBER_LIST', { limit: 100 })).items.some((m) => m.user_id === other.user_id), false);
});

test('an account of somebody else joins where the organization has proven the domain of its address', async () => {
    const free = await makePerson(tulle, 'free@proven.example');
    const body = okta('free', { userName: free.email, emails: [{ value: free.email, primary: true }] });
    await bad(403, undefined, 'POST', '/Users', body);
    const { item } = await use('ORGANIZATION_DOMAIN_ADD', { domain: 'proven.example' });
    await bad(403, undefined, 'POST', '/Users', body);
    dns.set(item.txt_name, item.txt_value);
    await use('ORGANIZATION_DOMAIN_VERIFY', { domain: 'proven.example' });
    await bad(403, undefined, 'POST', '/Users', body, { token: tokens.other.text });
    assert.equal((await good(201, 'POST', '/Users', body)).id, free.user_id);
    await signedIn(tulle, free);
});

test('attributes of one organization are not another\'s, nor the account\'s', async () => {
    const both = await makePerson(tulle, 'both@else.example');
    await use('ORGANIZATION_MEMBER_ADD', { email: both.email, role: 'member' });
    await tulle.use('ORGANIZATION_MEMBER_ADD', { email: both.email, role: 'member' }, other);
    const adopted = await good(201, 'POST', '/Users', okta('both', { userName: both.email, emails: [{ value: both.email, primary: true }] }));
    assert.equal(adopted.id, both.user_id);
    await good(200, 'PATCH', `/Users/${both.user_id}`, patch({ op: 'replace', value: { userName: 'renamed@corp.example', displayName: 'Renamed', emails: [{ value: 'new@corp.example', primary: true }], password: guard('NewPw-77xyzzy', 'password by SCIM') } }));
    const seen = (await good(200, 'GET', `/Users/${both.user_id}`, undefined, { token: tokens.other.text }));
    assert.deepEqual([seen.userName, seen.emails[0].value, seen.externalId], [both.email, both.email, undefined]);
    assert.notEqual(seen.displayName, 'Renamed');
    const browser = await signedIn(tulle, both);
    assert.equal(JSON.parse((await browser.request('/api/session')).html).user.email, both.email, 'the old password still signs in');
    await good(200, 'PATCH', `/Users/${both.user_id}`, patch({ op: 'replace', path: 'active', value: false }));
    assert.equal((await good(200, 'GET', `/Users/${both.user_id}`, undefined, { token: tokens.other.text })).active, true);
    const after = JSON.parse((await browser.request('/api/session')).html);
    assert.ok(after.user, 'a session that another organization needs goes on');
    assert.deepEqual(after.organizations.map((one) => one.slug), ['other']);
});

test('[266] active=false ends sessions, grants, keys and streams; activation lets in again', async () => {
    const person = await makePerson(tulle, 'leaver@else.example');
    await use('ORGANIZATION_MEMBER_ADD', { email: person.email, role: 'member' });
    const user = (await find(`userName eq "${person.email}"`)).Resources[0];
    const key = await tulle.makeKey('acme', person.email);
    const browser = await signedIn(tulle, person);
    const client = await makeClient(tulle);
    const grant = await obtainTokens(tulle, browser, client, { resource: connection.mcp, scope: 'mcp offline_access' });
    const call = (credential) => tulle.callTool(connection, 'echo', { text: 'x' }, { key: credential });
    for (const credential of [key, grant.access_token]) assert.equal((await call(credential)).status, 200);
    const hello = await rpc(connection.mcp, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } }, { key });
    const stream = await fetch(connection.mcp, { headers: { authorization: `Bearer ${key}`, accept: 'text/event-stream', 'mcp-session-id': hello.headers['mcp-session-id'] } });
    assert.equal(stream.status, 200);
    const ended = (async () => { for await (const chunk of stream.body) void chunk; })().then(() => true, () => true);

    await good(200, 'PATCH', `/Users/${user.id}`, patch({ op: 'Replace', path: 'active', value: 'False' }));
    for (const credential of [key, grant.access_token])
        await until('a credential is dead', async () => (await call(credential)).status === 401);
    if (grant.refresh_token) assert.equal((await refresh(tulle, client, grant.refresh_token)).status, 400);
    await until('the browser is signed out', async () => JSON.parse((await browser.request('/api/session')).html).user === null);
    assert.ok(await Promise.race([ended, new Promise((resolve) => { setTimeout(resolve, 20_000, false).unref(); })]), 'the stream ended');
    assert.equal((await use('ORGANIZATION_MEMBER_LIST', { limit: 100 })).items.find((m) => m.user_id === user.id).active, false);

    await good(200, 'PATCH', `/Users/${user.id}`, patch({ op: 'Replace', path: 'active', value: 'True' }));
    assert.equal((await call(key)).status, 401, 'what ended stays ended');
    const fresh = await tulle.makeKey('acme', person.email);
    assert.equal((await call(fresh)).status, 200);

    await good(204, 'DELETE', `/Users/${user.id}`);
    await until('the key is dead', async () => (await call(fresh)).status === 401);
    assert.equal((await use('ORGANIZATION_MEMBER_LIST', { limit: 100 })).items.some((m) => m.user_id === user.id), false);
});

test('owners: the last one stays, and an administrator\'s token touches none', async () => {
    const off = patch({ op: 'replace', path: 'active', value: false });
    await bad(409, undefined, 'PATCH', `/Users/${org.user_id}`, off);
    await bad(409, undefined, 'DELETE', `/Users/${org.user_id}`);
    await bad(403, undefined, 'PATCH', `/Users/${org.user_id}`, off, { token: tokens.admin.text });
    await bad(403, undefined, 'DELETE', `/Users/${org.user_id}`, undefined, { token: tokens.admin.text });
    const { item } = await use('ORGANIZATION_GROUP_CREATE', { name: 'SCIM owners', roles: ['owner'] });
    const member = (await find(`userName eq "${admin.email}"`)).Resources[0];
    const join = patch({ op: 'add', path: 'members', value: [{ value: member.id }] });
    await bad(403, undefined, 'PATCH', `/Groups/${item.id}`, join, { token: tokens.admin.text });
    await bad(403, undefined, 'DELETE', `/Groups/${item.id}`, undefined, { token: tokens.admin.text });
    assert.equal((await tulle.tool('ORGANIZATION_GET', {}, org)).status, 200);

    await use('ORGANIZATION_MEMBER_UPDATE_ROLE', { email: admin.email, role: 'owner' });
    const made = await use('ORGANIZATION_SCIM_TOKEN_CREATE', { name: 'of an owner for a while' }, admin);
    const token = guard(made.token, 'SCIM token');
    assert.equal(made.item.is_owners, true);
    await good(200, 'PATCH', `/Groups/${item.id}`, join, { token });
    await use('ORGANIZATION_GROUP_MEMBER_REMOVE', { group_id: item.id, email: admin.email });
    await use('ORGANIZATION_MEMBER_UPDATE_ROLE', { email: admin.email, role: 'admin' });
    await bad(403, undefined, 'PATCH', `/Groups/${item.id}`, join, { token });
    await bad(403, undefined, 'PATCH', `/Users/${org.user_id}`, off, { token });
    await good(200, 'GET', '/Users', undefined, { token });
    await use('ORGANIZATION_GROUP_DELETE', { group_id: item.id });
});

test('every act of a directory is in the record, passwords are not', async () => {
    const wanted = [['scim_user_change', 'ok'], ['scim_user_delete', 'ok'], ['scim_user_delete', 'denied'], ['scim_group_change', 'denied']];
    for (const [name, outcome] of wanted)
        await until(`a record of ${name}: ${outcome}`, async () => {
            const { items } = await use('ORGANIZATION_AUDIT_LIST', { limit: 100, outcome });
            const acts = items.filter((row) => row.method?.startsWith('scim_'));
            assert.ok(acts.every((row) => row.key_id?.startsWith('scim_') && !JSON.stringify(row).includes('Pw-')));
            return acts.some((row) => row.method === name);
        });
});
