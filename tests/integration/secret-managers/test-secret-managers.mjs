#!/usr/bin/env node
// A provider's key that a secret manager keeps: each way to it, and what becomes of requests when it changes, is refused, or the
// manager is out. The provider is the fake OpenAI, which takes the keys of `valid` alone.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';

import { startFake } from '../../fakes/openai.mjs';
import { eventually, run, test } from '../../fakes/tap.mjs';
import { FakeManagers, TENANT } from './fake-managers.mjs';

const ATELIER = 'http://127.0.0.1:8080';
const PORT = 18300;
const MANAGER = `http://127.0.0.1:${PORT}`;
const CONF = '/etc/atelier/atelier.conf.d/secrets.conf';
const DROP_IN = '/etc/systemd/system/atelier-worker.service.d/secrets.conf';
const ENVIRONMENT = '/run/secrets.env';
const CLIENTS = 4;
const ROTATIONS = 3;

// Every secret there is: at the end none of them is anywhere.
const canaries = new Set();
let serial = 0;
function canary(prefix) {
  const text = `${prefix}canary${++serial}${'0123456789abcdef'.slice(serial % 8)}`;
  canaries.add(text);
  return text;
}

// Not execFileSync: what is run may wait for the fakes.
const shell = async (...words) => (await promisify(execFile)(words[0], words.slice(1), { maxBuffer: 64 << 20 })).stdout;
const managers = new FakeManagers();
const valid = new Set();
const provider = await startFake({ port: 0, keys: valid });
await managers.listen(PORT);

// newKey(): one that the provider takes from now on.
function newKey() {
  const key = canary('sk-');
  valid.add(key);
  return key;
}

// configure(REFERENCE, {settings, environment, outage}): the worker finds its key there.
async function configure(reference, { settings = '', environment = {}, refresh = '1h', outage = null } = {}) {
  managers.asked.length = 0;
  managers.outage = outage;
  mkdirSync(DROP_IN.slice(0, DROP_IN.lastIndexOf('/')), { recursive: true });
  writeFileSync(DROP_IN, `[Service]\nEnvironmentFile=${ENVIRONMENT}\n`);
  writeFileSync(ENVIRONMENT, Object.entries(environment).map(([name, value]) => `${name}=${value}\n`).join(''), { mode: 0o600 });
  writeFileSync(
    CONF,
    `trust_loopback = true; log_level = "debug"; worker = { attempts_max = 1; };
     providers = ( { name = "openai"; base_url = "http://127.0.0.1:${provider.port}/v1"; key = "${reference}"; } );
     secrets = { refresh = "${refresh}"; aws_region = "eu-west-3"; aws_endpoint = "${MANAGER}"; aws_metadata = "${MANAGER}";
                 azure_authority = "${MANAGER}"; azure_metadata = "${MANAGER}"; azure_endpoint = "${MANAGER}";
                 vault_address = "${MANAGER}"; ${settings} };`,
  );
  await shell('systemctl', 'daemon-reload');
  await shell('systemctl', 'stop', 'atelier*');
  await shell('systemctl', 'reset-failed');
  await shell('systemctl', 'start', 'atelier.target');
}

async function draw(prompt = `secret ${++serial}`) {
  const response = await fetch(`${ATELIER}/v1/images/generations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-image-2', prompt, size: '1024x1024', quality: 'low' }),
  });
  return { status: response.status, body: await response.json() };
}

async function draws() {
  const { status, body } = await draw();
  assert.equal(status, 200, JSON.stringify(body));
}

const status = () => shell('atelierctl', 'status', 'worker');
const journal = () => shell('journalctl', '--quiet', '--output=cat', '_SYSTEMD_UNIT=atelier-worker.service');

async function useVault(options = {}) {
  const token = canary('hvs.');
  managers.vault = { tokens: new Set([token]), namespace: null };
  await configure('vault:secret/atelier/openai#key', { environment: { VAULT_TOKEN: token }, ...options });
}

function keep(name, members) {
  managers.secrets[name] = typeof members === 'string' ? members : JSON.stringify(members);
}

// ------------------------------------------------------------------ AWS

function awsKey(more = {}) {
  const id = `AKIA${String(++serial).padStart(16, 'X')}`;
  managers.aws.keys[id] = { secret: canary('aws/secret+'), ...more };
  return { id, ...managers.aws.keys[id] };
}

test('AWS: an access key of the environment', async () => {
  const { id, secret } = awsKey();
  keep('prod/gateway', { openai: newKey(), other: canary('other-') });
  await configure('aws-sm:prod/gateway#openai', { environment: { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } });
  await draws();
  assert.deepEqual(managers.asked.map(({ what }) => what), ['aws']);
  assert.match(await status(), /secret\.aws-sm:prod\/gateway#openai: fetched 20/);
});

test('AWS: a temporary key, and a secret that is no object', async () => {
  const token = canary('session/token+');
  const { id, secret } = awsKey({ token });
  keep('plain', newKey());
  await configure('aws-sm:plain', { environment: { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: token } });
  await draws();
});

test('AWS: an access key of credentials, without a variable', async () => {
  const { id, secret } = awsKey();
  mkdirSync('/run/credstore', { recursive: true, mode: 0o700 });
  writeFileSync('/run/credstore/aws-access-key-id', `${id}\n`, { mode: 0o600 });
  writeFileSync('/run/credstore/aws-secret-access-key', `${secret}\n`, { mode: 0o600 });
  keep('prod/gateway', { openai: newKey() });
  await configure('aws-sm:prod/gateway#openai');
  await draws();
  rmSync('/run/credstore/aws-access-key-id');
  rmSync('/run/credstore/aws-secret-access-key');
});

function instanceKey(more = {}) {
  const token = canary('instance/token+');
  const { id, secret } = awsKey({ token });
  managers.instance = {
    token: null,
    role: 'gateway-role',
    credentials: { Code: 'Success', Type: 'AWS-HMAC', AccessKeyId: id, SecretAccessKey: secret, Token: token,
                   Expiration: new Date(Date.now() + 6 * 3600e3).toISOString().replace(/\.\d+/, ''), ...more },
  };
  return id;
}

test('AWS: the role of an instance by IMDSv2, whose key is kept until it expires', async () => {
  const first = instanceKey();
  keep('prod/gateway', { openai: newKey() });
  await configure('aws-sm:prod/gateway#openai', { refresh: '1s' });
  await draws();
  assert.deepEqual(managers.asked.map(({ what }) => what), ['imds', 'imds', 'imds', 'aws']);
  await eventually(() => managers.count('aws'), n => n >= 3, { what: 'three fetches' });
  assert.equal(managers.count('imds'), 3);

  // It is refused before its time: another one is got, and no fetch fails.
  managers.aws.keys[first].expired = true;
  instanceKey();
  keep('prod/gateway', { openai: newKey() });
  await eventually(() => managers.count('imds'), n => n === 6, { what: 'new credentials' });
  await eventually(journal, text => /secret aws-sm:prod\/gateway#openai has changed/.test(text), { what: 'the change' });
  assert.doesNotMatch(await status(), /not since/);
  await draws();
});

test('AWS: the role of a container', async () => {
  const token = canary('container/token+');
  const { id, secret } = awsKey({ token });
  managers.container = {
    authorization: canary('container-authorization-'),
    credentials: { AccessKeyId: id, SecretAccessKey: secret, Token: token, Expiration: '2099-01-01T00:00:00Z' },
  };
  writeFileSync('/run/container-token', `${managers.container.authorization}\n`, { mode: 0o644 });
  keep('prod/gateway', { openai: newKey() });
  await configure('aws-sm:prod/gateway#openai', {
    environment: { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${MANAGER}/container`, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: '/run/container-token' },
  });
  await draws();
  assert.deepEqual(managers.asked.map(({ what }) => what), ['container', 'aws']);
  rmSync('/run/container-token');
});

test('AWS: refusals say what is wrong', async () => {
  const { id, secret } = awsKey();
  keep('prod/gateway', { openai: newKey() });
  const environment = { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret };
  const rows = [
    ['aws-sm:prod/missing#openai', environment, /ResourceNotFoundException/],
    ['aws-sm:prod/gateway#missing', environment, /the secret has no text "missing" in it/],
    ['aws-sm:prod/gateway#openai', { ...environment, AWS_SECRET_ACCESS_KEY: canary('wrong-') }, /InvalidSignatureException/],
    ['aws-sm:prod/gateway#openai', { AWS_EC2_METADATA_DISABLED: 'true' }, /there is no access key for AWS/],
  ];
  for (const [reference, variables, expected] of rows) {
    await configure(reference, { environment: variables });
    const { status: code, body } = await draw();
    assert.equal(code, 503, JSON.stringify(body));
    assert.match(await status(), expected);
    assert.match(await status(), /not there: /);
  }
});

// ------------------------------------------------------------------ Azure

test('Azure: a managed identity, whose token is kept', async () => {
  managers.azure = { ...managers.azure, identity: 'system', tokens: new Set() };
  keep('openai-key', newKey());
  await configure('azure-kv:pictures/openai-key', { refresh: '1s' });
  await draws();
  await eventually(() => managers.count('key-vault'), n => n >= 3, { what: 'three fetches' });
  assert.equal(managers.count('identity'), 1);
  // Revoked: another one is got, and no fetch fails.
  managers.azure.tokens.clear();
  await eventually(() => managers.count('identity'), n => n === 2, { what: 'a new token' });
  await eventually(() => managers.count('key-vault'), n => n >= 6, { what: 'further fetches' });
  assert.doesNotMatch(await status(), /not since/);
});

test('Azure: one of several identities', async () => {
  managers.azure.identity = '99999999-aaaa-bbbb-cccc-dddddddddddd';
  keep('openai-key', newKey());
  await configure('azure-kv:pictures/openai-key', { environment: { AZURE_CLIENT_ID: managers.azure.identity } });
  await draws();
});

test('Azure: an application and its secret', async () => {
  Object.assign(managers.azure, { client: 'app-id', secret: canary('azure~secret&=+ %') });
  keep('openai-key', newKey());
  const environment = { AZURE_TENANT_ID: TENANT, AZURE_CLIENT_ID: 'app-id', AZURE_CLIENT_SECRET: `"${managers.azure.secret}"` };
  await configure('azure-kv:pictures/openai-key', { environment });
  await draws();
  assert.deepEqual(managers.asked.map(({ what }) => what), ['login', 'key-vault']);
  await configure('azure-kv:pictures/openai-key', { environment: { ...environment, AZURE_CLIENT_SECRET: canary('wrong-') } });
  assert.equal((await draw()).status, 503);
  assert.match(await status(), /Entra ID answers HTTP 401: invalid_client/);
});

// ------------------------------------------------------------------ Vault, and what all have in common

test('Vault: a token, a namespace', async () => {
  keep('atelier/openai', { key: newKey() });
  await useVault();
  await draws();
  managers.vault.namespace = 'teams/images';
  writeFileSync('/run/vault-token', `${[...managers.vault.tokens][0]}\n`, { mode: 0o644 });
  await configure('vault:secret/atelier/openai#key', { settings: 'vault_token = "file:/run/vault-token"; vault_namespace = "teams/images";' });
  await draws();
  rmSync('/run/vault-token');
});

test('a key that is exchanged under load: no request fails', async () => {
  keep('atelier/openai', { key: newKey() });
  await useVault({ refresh: '1s' });
  let running = true;
  const results = [];
  const client = async () => {
    while (running) results.push(await draw());
  };
  const clients = Array.from({ length: CLIENTS }, client);
  for (let i = 0; i < ROTATIONS; i++) {
    const former = JSON.parse(managers.secrets['atelier/openai']).key;
    const key = newKey();
    keep('atelier/openai', { key });
    await eventually(async () => (await journal()).split('has changed, and is used').length, n => n > i + 1, { what: `change ${i + 1}` });
    // What began with the former key has its grace at the provider, then nobody may use it any more.
    await new Promise(resolve => { setTimeout(resolve, 300); });
    valid.delete(former);
  }
  running = false;
  await Promise.all(clients);
  assert.deepEqual(results.filter(({ status: code }) => code !== 200), []);
  assert.ok(results.length >= 10, `${results.length} requests`);
});

test('a key that is refused is fetched anew, and its job goes on', async () => {
  const former = newKey();
  keep('atelier/openai', { key: former });
  await useVault();
  await draws();
  keep('atelier/openai', { key: newKey() });
  valid.delete(former);
  await draws();
  assert.equal(managers.count('vault'), 2);
  assert.doesNotMatch(await shell('atelierctl', 'alerts', 'list'), /ProviderKeyRefused/);

  // Where there is no other one its job fails, and people are told.
  valid.clear();
  valid.add('sk-of-nobody');
  await configure('vault:secret/atelier/openai#key', { environment: { VAULT_TOKEN: [...managers.vault.tokens][0] } });
  const { status: code, body } = await draw();
  assert.deepEqual([code, body.error.code], [503, 'provider_key_refused']);
  await eventually(() => shell('atelierctl', 'alerts', 'list'), text => /ProviderKeyRefused/.test(text), { what: 'the alert' });
});

test('a new key that the provider refuses is not used, and people are told', async () => {
  const former = newKey();
  keep('atelier/openai', { key: former });
  await useVault({ refresh: '1s' });
  await draws();
  keep('atelier/openai', { key: canary('sk-mistyped-') });
  await eventually(() => shell('atelierctl', 'alerts', 'list'), text => /SecretRejected/.test(text), { what: 'the alert' });
  await draws();
  assert.match(await status(), /the value of before is used, as its provider refuses the new one/);
  assert.match(await status(), /provider\.openai: ready\n/);
  // Its being there still is no news, and another one is.
  const fetches = managers.count('vault');
  await eventually(() => managers.count('vault'), n => n >= fetches + 2, { what: 'further fetches' });
  assert.equal((await journal()).split('refuses the new value').length, 2);
  keep('atelier/openai', { key: newKey() });
  await eventually(status, text => !/value of before/.test(text), { what: 'the good one' });
  valid.delete(former);
  await draws();
});

test('the last good key outlives an outage of its manager, which people are told of', async () => {
  keep('atelier/openai', { key: newKey() });
  await useVault({ refresh: '1s' });
  await draws();
  managers.outage = () => ({ status: 503, headers: {}, body: '{"errors":["Vault is sealed"]}' });
  await eventually(() => shell('atelierctl', 'alerts', 'list'), text => /SecretUnavailable/.test(text), { what: 'the alert' });
  await draws();
  assert.match(await status(), /fetched 20.*; not since: Vault answers HTTP 503: Vault is sealed/);
  managers.outage = null;
  await eventually(status, text => !/not since/.test(text), { what: 'its end' });
});

test('a start without the manager: the worker serves, and takes the key when it comes', async () => {
  keep('atelier/openai', { key: newKey() });
  await useVault({ outage: () => ({ status: 503, headers: {}, body: '' }) });
  const { status: code, body } = await draw();
  assert.equal(code, 503, JSON.stringify(body));
  assert.match(await status(), /not there: Vault answers HTTP 503/);
  managers.outage = null;
  await eventually(draw, ({ status: now }) => now === 200, { what: 'the key' });
});

test('a mount of Kubernetes is read again when it changes', async () => {
  const mount = '/run/mount';
  mkdirSync(mount, { recursive: true });
  let generation = 0;
  const publish = key => {
    const folder = `..${++generation}`;
    mkdirSync(`${mount}/${folder}`);
    writeFileSync(`${mount}/${folder}/key`, key);
    symlinkSync(folder, `${mount}/..data_tmp`);
    renameSync(`${mount}/..data_tmp`, `${mount}/..data`);
  };
  const former = newKey();
  publish(former);
  symlinkSync('..data/key', `${mount}/key`);
  await configure(`file:${mount}/key`);
  await draws();
  publish(newKey());
  await eventually(journal, text => /The secret file:\/run\/mount\/key has changed, and is used from now on/.test(text), { what: 'the change' });
  valid.delete(former);
  await draws();
});

test('changes are in the audit trail', async () => {
  const trail = await shell('atelierctl', 'audit', 'export');
  assert.match(trail, /vault:secret\/atelier\/openai#key/);
  assert.match(trail, /aws-sm:prod\/gateway#openai/);
  assert.match(trail, /"secret.rejected".*vault:secret\/atelier\/openai#key/);
  await shell('atelierctl', 'audit', 'verify');
});

// What the worker knows is in its memory alone: not in what it says, and not where others of this machine may look.
test('no secret is to be found anywhere', async () => {
  await draws();
  await shell('atelierctl', 'task', 'run', 'backup');
  const pid = (await shell('systemctl', 'show', '--value', '--property=MainPID', 'atelier-worker.service')).trim();
  const places = {
    journal: await shell('journalctl', '--output=export'),
    status: `${await shell('atelierctl', 'status', '--json')}${await status()}${await shell('atelierctl', 'config', 'show')}`,
    units: await shell('bash', '-c', 'systemctl show "atelier*"; systemctl status "atelier*" || true'),
    process: `${readFileSync(`/proc/${pid}/environ`)}${readFileSync(`/proc/${pid}/cmdline`)}`,
    state: await shell('bash', '-c', 'cat /var/lib/atelier/*.db* /var/lib/atelier/*/*.db* 2>/dev/null; true'),
    backup: await shell('bash', '-c', 'for archive in /var/backups/atelier/*; do zstd --decompress --stdout --quiet $archive; done'),
  };
  assert.ok(places.backup.length > 10000, 'there is no backup');
  for (const [place, text] of Object.entries(places))
    for (const secret of canaries) assert.ok(!text.includes(secret), `${place} has ${secret}`);
});

await run();
await managers.close();
await provider.close();
