// Debian's SimpleSAMLphp as an identity provider, behind PHP's own web server: unpacked by scripts/lib/stages.sh, configured here.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decode } from './browser.mjs';
import { e2ePath, freePort, launch, until } from './children.mjs';
import { makeCertificate, pemBody } from './saml-forge.mjs';

const unpacked = e2ePath('node_modules', '.simplesamlphp', 'usr', 'share', 'simplesamlphp');

/** PHP source of a value. */
function php(value) {
    if (Array.isArray(value)) return `[${value.map(php).join(', ')}]`;
    if (value !== null && typeof value === 'object') return `[${Object.entries(value).map(([k, v]) => `${php(/^\d+$/.test(k) ? Number(k) : k)} => ${php(v)}`).join(', ')}]`;
    return typeof value === 'string' ? `'${value.replaceAll(/['\\]/g, '\\$&')}'` : String(value);
}
const assignment = (name, value) => `<?php\n${name} = ${php(value)};\n`;

const people = {
    'alice:alicepass': { uid: ['alice'], mail: ['alice@corp.example'], displayName: ['Alice Ångström'], groups: ['mesh-admins', 'eng'] },
    'bob:bobpass': { uid: ['bob'], mail: ['bob@corp.example'], displayName: ['Bob'], groups: ['eng'] },
    'mallory:mallorypass': { uid: ['mallory'], mail: ['victim@other.example'], displayName: ['Mallory'], groups: ['mesh-admins'] },
    'evil:evilpass': { uid: ['evil<!-- x -->'], mail: ['alice@corp.example\n.evil.example'], displayName: ["<script>alert(1)</script>' OR 1=1 --"], groups: ['g'.repeat(5000)] },
};

export class SimpleSaml {
    async start() {
        assert.ok(existsSync(unpacked), `no SimpleSAMLphp in ${unpacked}: scripts/test puts it there`);
        this.port = await freePort();
        this.url = `http://127.0.0.1:${this.port}`;
        this.entityId = `${this.url}/idp`;
        this.dir = mkdtempSync(join(tmpdir(), 'tulle-ssp-'));
        this.providers = {};
        this.pairs = [makeCertificate(), makeCertificate()];
        for (const name of ['config', 'metadata', 'cert', 'log', 'data', 'tmp', 'sessions', 'root']) mkdirSync(join(this.dir, name));
        // Debian's tree has links into /etc for its configuration: ours is told by the environment.
        for (const name of ['bin', 'dictionaries', 'lib', 'modules', 'schemas', 'templates', 'vendor', 'www', 'attributemap'])
            if (existsSync(join(unpacked, name))) symlinkSync(join(unpacked, name), join(this.dir, 'root', name));
        this.pairs.forEach(({ key, cert }, i) => {
            this.write(`cert/idp${i}.pem`, key);
            this.write(`cert/idp${i}.crt`, cert);
        });
        this.write('config/config.php', assignment('$config', this.config()));
        this.know();
        this.rollover(0);
        this.register([]);
        this.write('router.php', `<?php
$p = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if (preg_match('#^(/.*?\\.php)(/.*)?$#', $p, $m) && is_file('${unpacked}/www' . $m[1]) && strpos($m[1], '..') === false) {
  $_SERVER['SCRIPT_NAME'] = $_SERVER['PHP_SELF'] = $m[1]; $_SERVER['SCRIPT_FILENAME'] = '${unpacked}/www' . $m[1];
  if (isset($m[2])) $_SERVER['PATH_INFO'] = $m[2];
  chdir(dirname('${unpacked}/www' . $m[1]));
  require '${unpacked}/www' . $m[1]; return true;
}
return false;
`);
        const quiet = ['-d', 'error_reporting=E_ALL & ~E_DEPRECATED & ~E_WARNING & ~E_NOTICE', '-d', 'display_errors=0', '-d', 'opcache.enable=0', '-d', `session.save_path=${join(this.dir, 'sessions')}`];
        this.child = launch('php', [...quiet, '-S', `127.0.0.1:${this.port}`, '-t', join(unpacked, 'www'), join(this.dir, 'router.php')],
            { env: { ...process.env, SIMPLESAMLPHP_CONFIG_DIR: join(this.dir, 'config'), PHP_CLI_SERVER_WORKERS: '4' }, detached: true });
        await until('SimpleSAMLphp answers', () => {
            assert.ok(!this.child.end, `php ended: ${this.child.err}`);
            return fetch(this.metadataUrl).then((answer) => answer.ok, () => false);
        }, 30_000);
        return this;
    }

    get metadataUrl() {
        return `${this.url}/saml2/idp/metadata.php`;
    }

    async metadata() {
        return (await fetch(this.metadataUrl)).text();
    }

    write(name, text) {
        writeFileSync(join(this.dir, name), text);
    }

    config() {
        const at = (name) => `${join(this.dir, name)}/`;
        return {
            baseurlpath: `${this.url}/`, certdir: at('cert'), loggingdir: at('log'), datadir: at('data'), tempdir: join(this.dir, 'tmp'), metadatadir: at('metadata'),
            attributenamemapdir: `${unpacked}/attributemap/`, technicalcontact_name: 't', technicalcontact_email: 't@example.invalid', timezone: 'UTC',
            secretsalt: 'of no use outside this test', 'auth.adminpassword': 'admin', 'trusted.url.domains': null, showerrors: true, errorreporting: false,
            'logging.level': 7, 'logging.handler': 'file', 'logging.logfile': 'ssp.log', 'enable.saml20-idp': true,
            'module.enable': { exampleauth: true, core: true, saml: true }, 'session.duration': 28800, 'session.datastore.timeout': 14400, 'session.state.timeout': 3600,
            'session.cookie.name': 'SSPSESS', 'session.cookie.path': '/', 'session.cookie.secure': false, 'session.cookie.samesite': null,
            'session.phpsession.cookiename': 'SSPPHP', 'session.phpsession.savepath': join(this.dir, 'sessions'), 'session.authtoken.cookiename': 'SSPAUTH', 'store.type': 'phpsession',
            'language.available': ['en'], 'language.default': 'en', 'language.rtl': [], 'theme.use': 'default', usenewui: false,
            'authproc.idp': { 3: { class: 'saml:AttributeNameID', attribute: 'mail', Format: 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress' }, 4: { class: 'saml:PersistentNameID', attribute: 'uid' }, 5: 'saml:TransientNameID', 30: 'core:LanguageAdaptor' },
            'metadata.sources': [{ type: 'flatfile' }], 'metadata.sign.enable': false,
        };
    }

    /** What it knows of people; changes: of somebody, by "name:password". */
    know(changes = {}) {
        const all = Object.fromEntries(Object.entries(people).map(([who, says]) => [who, { ...says, ...changes[who] }]));
        this.write('config/authsources.php', assignment('$config', { admin: ['core:AdminPassword'], people: { 0: 'exampleauth:UserPass', ...all } }));
    }

    /** Step 0: the first key; 1: both are published, the first signs; 2: the second key. */
    rollover(step) {
        const [now, next] = step === 2 ? [1] : [0, step === 1 ? 1 : undefined];
        this.write('metadata/saml20-idp-hosted.php', assignment(`$metadata['${this.entityId}']`, {
            host: '__DEFAULT__', auth: 'people', privatekey: `idp${now}.pem`, certificate: `idp${now}.crt`,
            ...(next !== undefined && { new_privatekey: `idp${next}.pem`, new_certificate: `idp${next}.crt` }),
            'signature.algorithm': 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256', 'redirect.sign': true,
            SingleSignOnServiceBinding: ['urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect', 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST'],
            'attributes.NameFormat': 'urn:oasis:names:tc:SAML:2.0:attrname-format:basic',
        }));
    }

    /** The service providers that it knows: [{sp, sign: assertion|response|both, encrypt, key, signedRequests, nameIdFormat}]. */
    register(list) {
        const text = list.map(({ sp, sign = 'assertion', encrypt = false, algorithm, signedRequests = true, nameIdFormat = 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent' }) =>
            `$metadata[${php(sp.entityId)}] = ${php({
                AssertionConsumerService: [{ Binding: 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST', Location: sp.acs, index: 0 }],
                SingleLogoutService: [{ Binding: 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect', Location: sp.slo }],
                NameIDFormat: nameIdFormat, 'saml20.sign.assertion': sign !== 'response', 'saml20.sign.response': sign !== 'assertion', 'assertion.encryption': encrypt,
                'validate.authnrequest': signedRequests, 'validate.logout': true, 'sign.logout': true, 'simplesaml.attributes': true,
                'attributes.NameFormat': 'urn:oasis:names:tc:SAML:2.0:attrname-format:basic', certData: pemBody(sp.cert),
                ...(algorithm && { sharedkey_algorithm: algorithm }),
            })};\n`);
        this.write('metadata/saml20-sp-remote.php', `<?php\n${text.join('')}`);
    }

    end() {
        if (this.child && !this.child.end) process.kill(-this.child.pid, 'SIGKILL');
        rmSync(this.dir, { recursive: true, force: true });
    }
}

const attribute = (text, name) => decode(new RegExp(`\\b${name}\\s*=\\s*"([^"]*)"`, 'i').exec(text)?.[1] ?? '');

/** A browser's visit to SimpleSAMLphp: cookies, redirects and forms there, until it sends the browser away. */
export class Visit {
    constructor(idp) {
        this.idp = idp;
        this.jar = new Map();
    }

    async hop(url, form) {
        const answer = await fetch(url, {
            method: form ? 'POST' : 'GET', redirect: 'manual', body: form && new URLSearchParams(form).toString(),
            headers: { cookie: [...this.jar].map(([k, v]) => `${k}=${v}`).join('; '), ...(form && { 'content-type': 'application/x-www-form-urlencoded' }) },
        });
        for (const line of answer.headers.getSetCookie()) {
            const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
            this.jar.set(name, value);
        }
        const location = answer.headers.get('location');
        return { url, status: answer.status, text: await answer.text(), location: location && new URL(location, url).href };
    }

    /** Follows redirects there; stops at the first that leads elsewhere. */
    async go(url, form) {
        let page = await this.hop(url, form);
        for (let i = 0; page.location; i++) {
            assert.ok(i < 20, 'too many redirects');
            if (!page.location.startsWith(this.idp.url)) return { away: page.location };
            page = await this.hop(page.location);
        }
        return page;
    }

    forms(page) {
        return [...page.text.matchAll(/<form\b([^>]*)>(.*?)<\/form>/gs)].map(([, head, body]) => ({
            action: new URL(attribute(head, 'action') || page.url, page.url).href,
            fields: Object.fromEntries([...body.matchAll(/<input\b[^>]*>/g)].map(([input]) => [attribute(input, 'name'), attribute(input, 'value')]).filter(([name]) => name)),
        }));
    }

    /** From Tulle's redirect (or form) to the form that brings the answer back: {xml, encoded, relayState, action}. */
    async signIn(url, user, form) {
        let page = await this.go(url, form);
        const login = this.forms(page).find(({ fields }) => 'username' in fields);
        if (login) page = await this.go(login.action, { ...login.fields, username: user, password: `${user}pass` });
        const back = this.forms(page).find(({ fields }) => fields.SAMLResponse);
        assert.ok(back, `no answer from SimpleSAMLphp at ${page.url}:\n${page.text.replaceAll(/<[^>]+>/g, ' ').replaceAll(/\s+/g, ' ').slice(0, 800)}`);
        return { action: back.action, encoded: back.fields.SAMLResponse, relayState: back.fields.RelayState, xml: Buffer.from(back.fields.SAMLResponse, 'base64').toString() };
    }
}
