// Tulle behind an outgoing proxy: HTTPS_PROXY, NO_PROXY and CA_BUNDLE. The servers are named as if they were far away; the proxy
// finds all of them on this machine.
import { after, before, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { freePort, until } from './lib/children.mjs';
import { makeClock } from './lib/clock.mjs';
import { startConnectProxy } from './lib/connect-proxy.mjs';
import { makeAuthority, startTls } from './lib/https.mjs';
import { send } from './lib/http.mjs';
import { makeNames } from './lib/names.mjs';
import { descriptors } from './lib/processes.mjs';
import { guard, plant } from './lib/secrets.mjs';
import { startRaw } from './lib/servers.mjs';
import { prepareTulle, startTulle } from './lib/tulle.mjs';

const far = '203.0.113.7', credential = plant('bearer of the server');
const proxyUser = 'egress@acme', proxyPassword = `${plant('password of the proxy')}:/%`;
const authorization = `Basic ${Buffer.from(`${proxyUser}:${proxyPassword}`).toString('base64')}`;
guard(authorization.slice(6), 'what the proxy is told');
const names = {
    'far.test': far, 'also-far.test': far, 'direct.test': '127.0.0.1', 'below.direct.test': '127.0.0.1', 'notdirect.test': far, 'six.test': '2001:db8::7',
    'inner.test': '10.1.2.3', 'metadata.test': '169.254.169.254', 'other-range.test': '198.51.100.7', 'own.test': '127.0.0.1', 'open.test': '93.184.215.14',
};

let tulle, org, overTls, raw, proxy, tlsProxy, clock, authority, stranger, tls, untrusted;
before(async () => {
    clock = makeClock();
    [authority, stranger] = [makeAuthority('trusted'), makeAuthority('stranger')];
    const forNames = ['DNS:far.test', 'DNS:direct.test', 'DNS:*.direct.test', 'DNS:notdirect.test', 'DNS:six.test', 'DNS:localhost', `IP:${far}`];
    [raw, proxy, tlsProxy] = await Promise.all([startRaw({ isModern: true }), startConnectProxy(), startConnectProxy(stranger.issue('IP:127.0.0.1'))]);
    [tls, untrusted] = await Promise.all([startTls(authority.issue(...forNames), raw.port), startTls(stranger.issue(...forNames), raw.port)]);
    const env = {
        ...makeNames(names, clock.env), NO_PROXY: 'direct.test, 192.0.2.0/24', CA_BUNDLE: authority.bundle, EGRESS_ALLOW: '203.0.113.0/24, 2001:db8::/32',
        WORKERS: '1', LOG_LEVEL: 'debug',
    };
    const startBehind = async (scheme, { port }) => {
        const program = await startTulle({ env: { ...env, HTTPS_PROXY: `${scheme}://${encodeURIComponent(proxyUser)}:${encodeURIComponent(proxyPassword)}@127.0.0.1:${port}` } });
        return { ...await program.makeOrg('acme'), program };
    };
    [org, overTls] = await Promise.all([startBehind('http', proxy), startBehind('https', tlsProxy)]);
    tulle = org.program;
});
beforeEach(async () => {
    proxy.take();
    proxy.bytes = '';
    await raw.forget();
});
after(async () => {
    await Promise.all([tulle?.end(), overTls?.program.end()]);
    await Promise.all([proxy?.end(), tlsProxy?.end(), tls?.close(), untrusted?.close()]);
    for (const one of [authority, stranger]) one?.remove();
});

let made = 0;
const connect = async (url, who = org) => ({ ...await who.program.connect(who, { name: `server ${++made}`, url, credential: { bearer: credential } }), key: who.key });
const call = ({ mcp, key }) => tulle.callTool({ mcp }, 'whoami', {}, { key });
async function works(connection) {
    const { body } = await call(connection);
    assert.ok(body.result, JSON.stringify(body));
    return JSON.parse(body.result.content[0].text);
}
/** The message of the one error that a call is answered with. */
async function fails(connection) {
    const { status, body, text } = await call(connection);
    assert.deepEqual([status, body.error?.code], [200, -32603], text);
    assert.ok(!text.includes(far) && !text.includes(proxyUser), text);
    return body.error.message;
}

test('a call goes through CONNECT to the judged address; the proxy sees neither name nor credential, the server nothing of the proxy', async () => {
    const connection = await connect(`https://far.test:${tls.port}/mcp`);
    const { headers } = await works(connection);
    assert.equal(headers.authorization, `Bearer ${credential}`);
    assert.equal(headers.host, `far.test:${tls.port}`);
    for (const name of ['proxy-authorization', 'proxy-connection', 'via']) assert.equal(headers[name], undefined, name);
    await works(connection);
    assert.deepEqual(proxy.asked.map(({ target }) => target), [`${far}:${tls.port}`], 'one tunnel serves both calls');
    const [{ headers: told }] = proxy.asked;
    assert.equal(told['proxy-authorization'], authorization);
    assert.ok(!JSON.stringify(told).includes(credential) && told.authorization === undefined, JSON.stringify(told));
    assert.ok(proxy.bytes.length > 500 && !proxy.bytes.includes(credential) && !proxy.bytes.includes('whoami'));
    assert.ok(tls.names.every((name) => name === 'far.test'), 'SNI is the name');
    assert.deepEqual(proxy.other, []);
});

test('addresses in place of names, IPv6 too', async () => {
    await works(await connect(`https://${far}:${tls.port}/mcp`));
    await works(await connect(`https://six.test:${tls.port}/mcp`));
    assert.deepEqual(proxy.take(), [`${far}:${tls.port}`, `[2001:db8::7]:${tls.port}`]);
});

test('NO_PROXY and what is on this machine are reached directly, a name that only ends alike is not', async () => {
    for (const host of ['direct.test', 'below.direct.test', 'localhost']) await works(await connect(`https://${host}:${tls.port}/mcp`));
    await works(await connect(raw.url));
    assert.deepEqual(proxy.take(), []);
    assert.ok((await raw.seen()).every(({ headers }) => headers['proxy-authorization'] === undefined));
    await works(await connect(`https://notdirect.test:${tls.port}/mcp`));
    assert.deepEqual(proxy.take(), [`${far}:${tls.port}`]);
});

test('plain http goes through CONNECT as well, and no request is made of the proxy itself', async () => {
    const { headers } = await works(await connect(`http://far.test:${raw.port}/mcp`));
    assert.deepEqual([headers.authorization, headers['proxy-authorization']], [`Bearer ${credential}`, undefined]);
    assert.deepEqual([proxy.take(), proxy.other], [[`${far}:${raw.port}`], []]);
});

test('the address guard stands before the proxy', async () => {
    const refused = async (url, why) => {
        const { status, body, text } = await tulle.tool('CONNECTION_CREATE', { name: `server ${++made}`, url }, { key: org.key });
        const said = status === 200 ? await fails({ mcp: `${tulle.url}/mcp/${body.item.id}`, key: org.key }) : body.error.message;
        assert.match(said, why, `${url}: ${text}`);
        assert.match(said, /EGRESS_ALLOW|https is not/, url);
    };
    for (const host of ['inner.test', 'other-range.test', '10.1.2.3', '198.51.100.7', '[fd00::7]'])
        await refused(`https://${host}:${tls.port}/mcp`, /private and special/);
    for (const host of ['metadata.test', '169.254.169.254']) await refused(`https://${host}/mcp`, /metadata/);
    await refused(`https://own.test:${tulle.port}/mcp`, /own port/);
    await refused(`http://open.test:${raw.port}/mcp`, /plain http/);
    assert.deepEqual(proxy.take(), []);
    assert.match(await fails(await connect('https://nowhere.test/mcp')), /does not resolve/);
    assert.deepEqual(proxy.take(), []);
});

test('a certificate that CA_BUNDLE does not vouch for, or for another name, is refused before anything is said', async () => {
    for (const url of [`https://far.test:${untrusted.port}/mcp`, `https://direct.test:${untrusted.port}/mcp`, `https://also-far.test:${tls.port}/mcp`])
        assert.match(await fails(await connect(url)), /certificate is not trusted or not for this name/, url);
    assert.deepEqual(await raw.seen(), []);
});

const failures = {
    'refuses with 403': [403, /proxy refused the connection with status 403/],
    'wants other credentials (407)': [407, /proxy refused the connection with status 407/],
    'drops the connection': ['drop', /proxy closed the connection without an answer/],
    'drops the tunnel': ['cut', /TLS handshake with the server failed|connection to the server broke/],
    'never answers': ['hang', /proxy.*within 10 s/, true],
    'opens a tunnel to nothing': ['deaf', /TLS handshake.*within 10 s/, true],
};
test('a proxy that fails: a clear error in time, nothing left open, and the next call works', async (t) => {
    const connection = await connect(`https://far.test:${tls.port}/mcp`);
    const broken = async () => {
        proxy.hangUp();
        await until('no tunnel is left', () => proxy.open.size === 0);
        proxy.take();
    };
    await works(connection);
    for (const [what, [mode, why, isLate]] of Object.entries(failures))
        await t.test(what, async () => {
            await broken();
            const before = descriptors(tulle.child.pid);
            proxy.mode = mode;
            const failing = fails(connection);
            if (isLate) {
                await until('the proxy is asked', () => proxy.asked.length > 0 && (mode === 'hang' || proxy.bytes));
                clock.advanceDeadlines(11);
                await send(`${tulle.url}/health`, { method: 'GET' });
            }
            const said = await failing;
            assert.match(said, why);
            await until('the connection to the proxy is closed', () => proxy.open.size === 0);
            await until('its descriptors are', () => descriptors(tulle.child.pid) <= before);
            proxy.mode = '';
            await works(connection);
            assert.deepEqual(proxy.take().at(-1), `${far}:${tls.port}`);
        });
    await t.test('is away', async () => {
        await broken();
        await proxy.end();
        assert.match(await fails(connection), /proxy cannot be reached/);
        await proxy.start();
        await works(connection);
    });
});

test('a proxy over TLS is judged by CA_BUNDLE as well', async () => {
    const connection = await connect(`https://far.test:${tls.port}/mcp`, overTls);
    tlsProxy.setCertificate(stranger.issue('IP:127.0.0.1'));
    assert.match(await fails(connection), /the proxy's certificate is not trusted/);
    tlsProxy.setCertificate(authority.issue('DNS:far.test'));
    assert.match(await fails(connection), /the proxy's certificate is not .* for its name/);
    assert.deepEqual(tlsProxy.take(), []);
    tlsProxy.setCertificate(authority.issue('IP:127.0.0.1'));
    await works(connection);
    assert.equal(tlsProxy.asked[0].headers['proxy-authorization'], authorization);
    assert.deepEqual([tlsProxy.take(), proxy.take()], [[`${far}:${tls.port}`], []]);
});

test('settings that cannot be used end the start with a reason, and the credentials are not repeated', async () => {
    const cold = await prepareTulle({ env: { CA_BUNDLE: '/nonexistent/roots.pem' } });
    const { code, stderr } = await cold.cli(['serve']);
    assert.notEqual(code, 0);
    assert.match(stderr, /CA_BUNDLE: \/nonexistent\/roots\.pem/);
    const wrong = await cold.cli(['serve'], { env: { CA_BUNDLE: '', HTTPS_PROXY: `ftp://me:${credential}@127.0.0.1:${await freePort()}` } });
    assert.notEqual(wrong.code, 0);
    assert.match(wrong.stderr, /HTTPS_PROXY/);
    assert.ok(!wrong.stderr.includes(credential), wrong.stderr);
});
