// npm oidc-provider with its in-memory adapter, for the benchmark of token endpoints: one process, PORT in the environment. Its one
// person is always signed in and always consents. Prints "listening PORT".
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const port = Number(process.env.PORT);
const origin = `http://127.0.0.1:${port}`;
const resource = `${origin}/mcp`;
const client = { token_endpoint_auth_method: 'client_secret_post', client_secret: 'bench-secret', scope: 'openid offline_access tools' };

const provider = new Provider(origin, {
    clients: [
        { ...client, client_id: 'web', redirect_uris: ['https://client.example/cb'], grant_types: ['authorization_code', 'refresh_token'] },
        { ...client, client_id: 'machine', redirect_uris: [], response_types: [], grant_types: ['client_credentials'] },
    ],
    features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        introspection: { enabled: true },
        resourceIndicators: {
            enabled: true,
            defaultResource: () => resource,
            getResourceServerInfo: () => ({ scope: 'tools', accessTokenFormat: 'opaque', accessTokenTTL: 3600 }),
        },
    },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: async () => true,
    scopes: ['openid', 'offline_access', 'tools'],
    cookies: { keys: ['bench'] },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    routes: { authorization: '/authorize', token: '/token', introspection: '/introspect' },
});

async function interact(req, res) {
    const { prompt, params, grantId } = await provider.interactionDetails(req, res);
    if (prompt.name === 'login') return provider.interactionFinished(req, res, { login: { accountId: 'person' } });
    const grant = grantId ? await provider.Grant.find(grantId) : new provider.Grant({ accountId: 'person', clientId: params.client_id });
    grant.addOIDCScope('openid offline_access tools');
    grant.addResourceScope(resource, 'tools');
    return provider.interactionFinished(req, res, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
}

const oidc = provider.callback();
createServer((req, res) => {
    if (!req.url.startsWith('/interaction/')) return oidc(req, res);
    return interact(req, res).catch((error) => {
        console.error(error);
        res.destroy();
    });
}).listen(port, '127.0.0.1', () => console.log(`listening ${port}`));
