// The deployment files as far as a machine without a container engine can check them: they parse, and they agree with the
// program's own tables (settings, port, packages).
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { repoDir } from './lib/children.mjs';

const read = (name) => readFileSync(join(repoDir, name), 'utf8');
const settings = new Set([...read('src/config.def').matchAll(/^X\(\w+, *"([A-Z_]+)"/gm)].map((match) => match[1]));
const isSetting = (name) => settings.has(name) || settings.has(name.replace(/_FILE$/, ''));
const defaultPort = /^X\(port, *"PORT", *INT, *(\d+)/m.exec(read('src/config.def'))[1];

/** Instructions of a Dockerfile, continuation lines joined. */
const instructions = read('Dockerfile').replaceAll(/^#.*\n/gm, '').replaceAll(/\\\n/g, ' ').split('\n').filter((line) => line.trim())
    .map((line) => /^([A-Z]+)\s+(.*)$/.exec(line)?.slice(1) ?? assert.fail(`not an instruction: ${line}`));
const values = (name) => instructions.filter(([instruction]) => instruction === name).map(([, value]) => value);
const packages = (text) => new Set([...text.matchAll(/[a-z0-9][a-z0-9.+-]*/g)].map((match) => match[0])
    .filter((word) => /-dev$|^(build-essential|cmake|ninja-build|pkg-config)$/.test(word)));

test('the Dockerfile has known instructions only and ends as another user than root', () => {
    const known = new Set(['FROM', 'RUN', 'COPY', 'ENV', 'WORKDIR', 'USER', 'VOLUME', 'EXPOSE', 'ENTRYPOINT', 'CMD', 'HEALTHCHECK', 'LABEL', 'ARG', 'STOPSIGNAL']);
    for (const [instruction] of instructions) assert.ok(known.has(instruction), instruction);
    assert.ok(!['root', '0', undefined].includes(values('USER').at(-1)), 'USER');
    assert.deepEqual(values('EXPOSE'), [defaultPort]);
    for (const list of [...values('ENTRYPOINT'), ...values('CMD')]) assert.ok(Array.isArray(JSON.parse(list)), 'the exec form');
});

test('the settings in the Dockerfile exist', () => {
    for (const name of values('ENV').flatMap((line) => line.split(/\s+/)).map((pair) => pair.split('=')[0])) assert.ok(isSetting(name), name);
});

test('the Dockerfile installs what scripts/deps installs', () => {
    assert.deepEqual([...packages(values('RUN')[0])].sort(), [...packages(read('scripts/deps').replaceAll(/^\s*#.*$/gm, ''))].sort());
});

const composeFiles = readdirSync(repoDir).filter((name) => /^docker-compose.*\.ya?ml$/.test(name));
test('there is a compose file', () => assert.ok(composeFiles.includes('docker-compose.yml')));
for (const name of composeFiles)
    test(`${name} parses, its settings exist, its ports are on loopback, its volumes are declared`, () => {
        const compose = parse(read(name), { strict: true, uniqueKeys: true });
        const tulle = compose.services.tulle;
        assert.ok(tulle, 'a service tulle');
        const environment = Array.isArray(tulle.environment) ? tulle.environment.map((pair) => pair.split('=')[0]) : Object.keys(tulle.environment ?? {});
        for (const setting of environment) assert.ok(isSetting(setting), setting);
        for (const service of Object.values(compose.services)) {
            for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/);
            for (const volume of service.volumes ?? [])
                if (!/^[./]/.test(volume)) assert.ok(volume.split(':')[0] in compose.volumes, volume);
        }
        if (tulle.ports) assert.ok(tulle.ports.some((port) => port.endsWith(`:${defaultPort}`)));
        for (const other of Object.keys(tulle.depends_on ?? {})) assert.ok(other in compose.services, other);
    });

test('presets named in scripts exist', () => {
    const presets = JSON.parse(read('CMakePresets.json')).configurePresets.map((preset) => preset.name);
    for (const name of ['release', 'dev', 'asan', 'tsan', 'clang', 'fuzz']) assert.ok(presets.includes(name), name);
});

test('a chart, where there is one, has a Chart.yaml that parses', () => {
    const folder = join(repoDir, 'deploy', 'helm');
    for (const chart of existsSync(folder) ? readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()) : [])
        assert.equal(typeof parse(read(join('deploy', 'helm', chart.name, 'Chart.yaml'))).version, 'string');
});
