# What tokend needs in Vault or OpenBao: `vault policy write tokend tokend.hcl`. Take the paths that
# `tokend check` names for your configuration.

# Sinks: { vault = "secret/psd2/NAME" } in a KV v2 engine at secret/. Nothing of metadata/ is needed.
path "secret/data/psd2/*" {
  capabilities = ["create", "read", "update"]
}

# The same in a KV v1 engine at kv/:
# path "kv/psd2/*" {
#   capabilities = ["create", "read", "update"]
# }

# Tokens that follow: { vault = "secret/psd2/NAME" }. A host that only follows needs no more than this.
# path "secret/data/psd2/*" {
#   capabilities = ["read"]
# }

# Secrets of providers: { vault = "secret/clients/NAME#client_secret" }.
path "secret/data/clients/*" {
  capabilities = ["read"]
}

# The login's own token: looked at after a denial, and renewed. The policy `default` has both.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
