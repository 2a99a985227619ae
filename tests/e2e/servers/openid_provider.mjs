// The certified npm oidc-provider as somebody's identity provider. Who signs in is chosen by login_hint; everybody consents.
// PORT in the environment; PUT /_clients sets the clients (JSON: their metadata), PUT /_logout {client_id, sub, sid} tells a client. Prints "listening PORT".
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const jwk = (type, options, more) => ({ ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), use: 'sig', ...more });
const people = {
    alice: { email: 'alice@corp.test', email_verified: true, name: 'Alice', groups: ['eng', 'tulle-admins'] },
    bob: { email: 'bob@corp.test', email_verified: true, name: 'Bob' },
    stranger: { email: 'stranger@else.test', email_verified: true, name: 'Stranger' },
    unverified: { email: 'alice@corp.test', email_verified: false, name: 'Impostor' },
};
const port = Number(process.env.PORT ?? 0);
const algorithms = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'];

const keys = [jwk('rsa', { modulusLength: 2048 }, { kid: 'rs' }), jwk('ec', { namedCurve: 'P-256' }, { kid: 'es', alg: 'ES256' }),
    jwk('ec', { namedCurve: 'P-384' }, { kid: 'es384', alg: 'ES384' }), jwk('ed25519', {}, { kid: 'ed', alg: 'EdDSA' })];
let provider, handle;
const configuration = (clients) => ({
    clients: clients.map((client) => ({ response_types: ['code'], grant_types: ['authorization_code'], ...client })),
    jwks: { keys },
    enabledJWA: { idTokenSigningAlgValues: algorithms },
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false }, backchannelLogout: { enabled: true } },
    scopes: ['openid', 'profile', 'email', 'groups'],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
    // Its own guard refuses loopback addresses, where its clients are here.
    fetch: (url, { dispatcher: _, ...options }) => fetch(url, options),
    cookies: { keys: ['k'] },
    ttl: { IdToken: 300, AccessToken: 300, Session: 300, Grant: 300, Interaction: 300, AuthorizationCode: 60 },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
    interactions: { url: (ctx, { uid }) => `/person/${uid}` },
});

async function decide(ctx) {
    const { params, prompt, session } = await provider.interactionDetails(ctx.req, ctx.res);
    if (params.login_hint === 'deny') return { error: 'access_denied', error_description: 'user said no' };
    if (prompt.name === 'login') return { login: { accountId: params.login_hint in people ? params.login_hint : 'alice' } };
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    return { consent: { grantId: await grant.save() } };
}

function begin(clients) {
    provider = new Provider(`http://127.0.0.1:${port}`, configuration(clients));
    provider.use(async (ctx, next) => {
        if (!ctx.path.startsWith('/person/')) return next();
        ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, await decide(ctx), { mergeWithLastSubmission: true }));
    });
    handle = provider.callback();
}

begin([]);
const server = createServer(async (req, res) => {
    if (!req.url.startsWith('/_')) return handle(req, res);
    let text = '';
    for await (const chunk of req) text += chunk;
    if (req.url === '/_clients') {
        begin(JSON.parse(text));
    } else {
        const { client_id, sub, sid } = JSON.parse(text);
        const client = await provider.Client.find(client_id);
        await client.backchannelLogout(sub, sid).catch((error) => (res.statusCode = 500, res.write(error.message)));
    }
    res.end();
}).listen(port, '127.0.0.1', () => console.log(`listening ${server.address().port}`));
