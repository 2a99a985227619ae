// A Tulle with an organization that has proven its domain, and people who sign in to it by SAML.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Browser } from './browser.mjs';
import { freePort } from './children.mjs';
import { messageOf, spOf } from './saml-forge.mjs';
import { sql } from './store.mjs';
import { startTulle } from './tulle.mjs';

export async function startForSaml(env = {}) {
    const port = await freePort();
    return startTulle({ port, env: { BASE_URL: `http://127.0.0.1:${port}`, EGRESS_ALLOW: '127.0.0.1/32', ...env } });
}

/** The organization's domain counts as proven (ORGANIZATION_DOMAIN_VERIFY has tests of its own). */
export function proveDomain(tulle, org, domain) {
    const id = `dom_${randomBytes(16).toString('hex')}`;
    sql(tulle, `INSERT INTO org_domains (id, org_id, domain, proof, verified_at, is_forced, created_at) VALUES ('${id}', '${org.org_id}', '${domain}', 'test', 1, 0, 1)`);
}

/** A SAML provider of the organization, as the tools make it: {item, sp}. */
export async function addProvider(tulle, org, idp, settings = {}) {
    const { item } = await tulle.use('ORGANIZATION_SSO_CREATE', { type: 'saml', name: 'Corp', idp_metadata_xml: idp.metadata(), ...settings }, org);
    return { item, sp: await readSp(tulle, item) };
}

export async function readSp(tulle, item) {
    const metadata = await new Browser(tulle.url).request(`/auth/saml/${item.id}/metadata`);
    assert.equal(metadata.status, 200, metadata.html);
    assert.equal(metadata.headers['content-type'], 'application/samlmetadata+xml');
    return { id: item.id, ...spOf(metadata.html) };
}

/** A person with a browser. */
export class SamlPerson extends Browser {
    constructor(tulle) {
        super(tulle.url);
    }

    /** Goes to the provider: the service provider as the request says, with requestId and relayState. */
    async leave(sp, query = '') {
        const page = await this.request(`/auth/saml/${sp.id}/start${query}`);
        assert.equal(page.status, 303, page.html);
        const { xml, relayState } = messageOf(page.headers.location);
        return { ...sp, requestId: / ID="([^"]*)"/.exec(xml)[1], relayState, request: xml, url: page.headers.location };
    }

    /** What the provider's page posts, from its own site: without our cookies. */
    async post(sp, xml, { relayState = sp.relayState, encoded, headers = {} } = {}) {
        const form = new URLSearchParams({ SAMLResponse: encoded ?? Buffer.from(xml).toString('base64'), ...(relayState !== undefined && { RelayState: relayState }) });
        return new Browser(this.origin).request(`/auth/saml/${sp.id}/acs`, { method: 'POST', body: form.toString(), headers: { origin: 'https://idp.example', ...headers } });
    }

    /** The same, and on with our cookies as far as it goes. */
    async deliver(sp, xml, options) {
        return this.follow(await this.post(sp, xml, options));
    }

    async who() {
        return (await this.session()).user?.email;
    }
}
