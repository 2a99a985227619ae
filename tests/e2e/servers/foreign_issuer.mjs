// npm oidc-provider as an authorization server that an organization trusts: client credentials for whatever resource is asked
// for, signed tokens or opaque ones as the client's name says. PORT in the environment. Prints "listening PORT".
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const port = Number(process.env.PORT);
const origin = `http://127.0.0.1:${port}`;
const machine = (client_id) => ({ client_id, client_secret: `${client_id}-secret-of-the-test`, redirect_uris: [], response_types: [], grant_types: ['client_credentials'], scope: 'tools more' });

const provider = new Provider(origin, {
    clients: [machine('signed'), machine('opaque'), machine('tulle')],
    features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        introspection: { enabled: true, allowedPolicy: () => true },
        revocation: { enabled: true, allowedPolicy: () => true },
        resourceIndicators: {
            enabled: true,
            getResourceServerInfo: (_ctx, resource, client) => ({ scope: 'tools more', audience: resource, accessTokenFormat: client.clientId === 'signed' ? 'jwt' : 'opaque', accessTokenTTL: 3600 }),
        },
    },
    scopes: ['tools', 'more'],
    cookies: { keys: ['test'] },
});
const oidc = provider.callback();
createServer((req, res) => oidc(req, res)).listen(port, '127.0.0.1', () => console.log(`listening ${port}`));
