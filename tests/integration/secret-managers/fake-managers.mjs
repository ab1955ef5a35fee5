// AWS Secrets Manager with what gives credentials for it, Azure Key Vault with what gives tokens, and HashiCorp Vault, on one port.
// Each verifies what it is asked as the real one does, and refuses what that would refuse. AWS signatures are computed anew by aws4.

import { once } from 'node:events';
import { createServer } from 'node:http';

import aws4 from 'aws4';

const CLOCK_SKEW_MS = 5 * 60 * 1000;
const SIGNED = ['content-type', 'host', 'x-amz-date', 'x-amz-security-token', 'x-amz-target'];
const TENANT = '11111111-2222-3333-4444-555555555555';

const json = (status, body, headers = {}) => ({ status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
const awsError = (status, type) => json(status, { __type: `com.amazon.coral.service#${type}`, Message: type });
const azureError = (status, code) => json(status, { error: { code, message: code } });

export class FakeManagers {
  // What they keep, and who may ask. Tests change it.
  secrets = {}; // by name: a text
  aws = { keys: {}, region: 'eu-west-3' }; // keys: {ID: {secret, token}}
  instance = { token: null, role: null, credentials: null };
  container = { authorization: null, credentials: null };
  azure = { identity: null, client: null, secret: null, tokens: new Set(), lifetime: 3600 };
  vault = { tokens: new Set(), namespace: null };
  outage = null; // (req) => a reply in place of all others, or null
  asked = []; // {what, at}, in their order
  #server = createServer((req, res) => this.#serve(req, res));
  #serial = 0;

  async listen(port) {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async close() {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  count(what) {
    return this.asked.filter(one => one.what === what).length;
  }

  async #serve(req, res) {
    let body = '';
    for await (const part of req.setEncoding('utf8')) body += part;
    const { status, headers, body: text } = this.outage?.(req) ?? this.#answer(req, body);
    res.writeHead(status, headers).end(text);
  }

  #answer(req, body) {
    const path = req.url.split('?')[0];
    const [what, answer] = [
      [path === '/', 'aws', () => this.#awsSecret(req, body)],
      [path.startsWith('/latest/'), 'imds', () => this.#instance(req, path)],
      [path === '/container', 'container', () => this.#container(req)],
      [path === '/metadata/identity/oauth2/token', 'identity', () => this.#identity(req)],
      [path === `/${TENANT}/oauth2/v2.0/token`, 'login', () => this.#login(req, body)],
      [path.startsWith('/secrets/'), 'key-vault', () => this.#keyVault(req, path)],
      [path.startsWith('/v1/'), 'vault', () => this.#vault(req, path)],
      [true, 'nothing', () => json(404, {})],
    ]
      .find(([mine]) => mine)
      .slice(1);
    this.asked.push({ what, at: Date.now() });
    return answer();
  }

  // ---------------------------------------------------------------- AWS

  // Null: the signature holds.
  #verifyAws(req, body) {
    const credential = /Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request/.exec(req.headers.authorization ?? '');
    if (!credential) return awsError(400, 'MissingAuthenticationTokenException');
    const [, id, , region, service] = credential;
    const key = this.aws.keys[id];
    if (!key) return awsError(400, 'UnrecognizedClientException');
    if (key.expired) return awsError(400, 'ExpiredTokenException');
    if (region !== this.aws.region || service !== 'secretsmanager') return awsError(400, 'InvalidSignatureException');
    if (key.token && req.headers['x-amz-security-token'] !== key.token) return awsError(400, 'UnrecognizedClientException');

    const date = req.headers['x-amz-date'];
    const at = Date.parse(date.replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'));
    if (!(Math.abs(at - Date.now()) < CLOCK_SKEW_MS)) return awsError(400, 'RequestExpired');
    const headers = Object.fromEntries(SIGNED.filter(name => name in req.headers).map(name => [name, req.headers[name]]));
    const again = aws4.sign(
      { method: req.method, host: req.headers.host, path: req.url, headers, body, region, service, extraHeadersToIgnore: { 'content-length': true } },
      { accessKeyId: id, secretAccessKey: key.secret },
    );
    return again.headers.Authorization === req.headers.authorization ? null : awsError(400, 'InvalidSignatureException');
  }

  #awsSecret(req, body) {
    const refused = this.#verifyAws(req, body);
    if (refused) return refused;
    if (req.method !== 'POST' || req.headers['x-amz-target'] !== 'secretsmanager.GetSecretValue')
      return awsError(400, 'UnknownOperationException');
    if (req.headers['content-type'] !== 'application/x-amz-json-1.1') return awsError(400, 'SerializationException');
    const { SecretId: name, ...others } = JSON.parse(body);
    if (Object.keys(others).length > 0) return awsError(400, 'InvalidParameterException');
    if (!(name in this.secrets)) return awsError(400, 'ResourceNotFoundException');
    return json(200, {
      ARN: `arn:aws:secretsmanager:${this.aws.region}:123456789012:secret:${name}-AbCdEf`,
      Name: name,
      VersionId: 'v',
      VersionStages: ['AWSCURRENT'],
      CreatedDate: 1.7e9,
      SecretString: this.secrets[name],
    });
  }

  // IMDSv2 alone: without a token nothing is told, and a forwarded request gets none.
  #instance(req, path) {
    if (path === '/latest/api/token') {
      if (req.method !== 'PUT' || req.headers['x-forwarded-for']) return { status: 403, headers: {}, body: '' };
      const seconds = Number(req.headers['x-aws-ec2-metadata-token-ttl-seconds']);
      if (!(seconds >= 1 && seconds <= 21600)) return { status: 400, headers: {}, body: '' };
      this.instance.token = `imds-token-${++this.#serial}==`;
      return { status: 200, headers: { 'content-type': 'text/plain' }, body: this.instance.token };
    }
    if (!this.instance.token || req.headers['x-aws-ec2-metadata-token'] !== this.instance.token)
      return { status: 401, headers: {}, body: '' };
    const roles = '/latest/meta-data/iam/security-credentials/';
    if (path === roles && this.instance.role) return { status: 200, headers: {}, body: this.instance.role };
    if (path === `${roles}${this.instance.role}`) return json(200, this.instance.credentials);
    return { status: 404, headers: {}, body: '' };
  }

  #container(req) {
    if (req.headers.authorization !== this.container.authorization) return json(401, {});
    return json(200, this.container.credentials);
  }

  // ---------------------------------------------------------------- Azure

  #newToken() {
    const token = `entra.${++this.#serial}.token`;
    this.azure.tokens.add(token);
    return token;
  }

  #identity(req) {
    const query = new URL(req.url, 'http://x').searchParams;
    if (req.headers.metadata !== 'true' || req.headers['x-forwarded-for']) return json(400, { error: 'invalid_request' });
    if (query.get('api-version') !== '2018-02-01' || query.get('resource') !== 'https://vault.azure.net')
      return json(400, { error: 'invalid_request' });
    if (this.azure.identity === null || (query.get('client_id') ?? 'system') !== this.azure.identity)
      return json(400, { error: 'invalid_request', error_description: 'Identity not found' });
    const { lifetime } = this.azure;
    return json(200, { access_token: this.#newToken(), expires_in: String(lifetime), expires_on: '0', not_before: '0', resource: 'https://vault.azure.net', token_type: 'Bearer' });
  }

  #login(req, body) {
    const form = new URLSearchParams(body);
    if (req.method !== 'POST' || req.headers['content-type'] !== 'application/x-www-form-urlencoded')
      return json(400, { error: 'invalid_request' });
    if (form.get('client_id') !== this.azure.client || form.get('client_secret') !== this.azure.secret)
      return json(401, { error: 'invalid_client', error_description: 'AADSTS7000215: Invalid client secret provided.' });
    if (form.get('grant_type') !== 'client_credentials' || form.get('scope') !== 'https://vault.azure.net/.default')
      return json(400, { error: 'invalid_scope' });
    return json(200, { token_type: 'Bearer', expires_in: this.azure.lifetime, ext_expires_in: 3600, access_token: this.#newToken() });
  }

  #keyVault(req, path) {
    const token = /^Bearer (.+)$/.exec(req.headers.authorization ?? '')?.[1];
    if (!this.azure.tokens.has(token)) return azureError(401, 'Unauthorized');
    if (new URL(req.url, 'http://x').searchParams.get('api-version') !== '7.4') return azureError(400, 'BadParameter');
    const name = path.slice('/secrets/'.length);
    if (!(name in this.secrets)) return azureError(404, 'SecretNotFound');
    return json(200, { value: this.secrets[name], id: `https://v.vault.azure.net/secrets/${name}/1`, attributes: { enabled: true } });
  }

  // ---------------------------------------------------------------- HashiCorp Vault

  #vault(req, path) {
    if (!this.vault.tokens.has(req.headers['x-vault-token'])) return json(403, { errors: ['permission denied'] });
    if ((req.headers['x-vault-namespace'] ?? null) !== this.vault.namespace) return json(404, { errors: [] });
    const name = /^\/v1\/secret\/data\/(.+)$/.exec(path)?.[1];
    if (!(name in this.secrets)) return json(404, { errors: [] });
    return json(200, {
      request_id: 'r', lease_id: '', renewable: false, lease_duration: 0,
      data: { data: JSON.parse(this.secrets[name]), metadata: { version: 1, destroyed: false, deletion_time: '' } },
      warnings: null,
    });
  }
}

export { TENANT };
