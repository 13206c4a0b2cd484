// A certified OAuth 2 server with two clients. Prints its port once it serves; ends with its stdin.
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const secret = process.env.CLIENT_SECRET;
const client = (client_id, token_endpoint_auth_method) => ({
  client_id,
  client_secret: secret,
  token_endpoint_auth_method,
  grant_types: ['client_credentials'],
  response_types: [],
  redirect_uris: [],
  scope: 'api:read api:write',
});

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [client('with basic:+', 'client_secret_basic'), client('with-post', 'client_secret_post')],
    scopes: ['api:read', 'api:write', 'api:rule'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({ scope: 'api:read api:write', audience: resource, accessTokenTTL: 300 }),
      },
    },
  });
  server.on('request', provider.callback());
  console.log(port);
});
process.stdin.on('end', () => process.exit()).resume();
