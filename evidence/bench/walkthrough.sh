#!/usr/bin/env bash
# The way of the AWS walkthrough "mutual TLS with file-provided certificates from ACM", as a measure to compare with:
# the secret arrives in the environment, jq takes it apart, openssl opens the key, Envoy reads PEM files.
# Left out in its favour: tracing, a second encoding of the passphrase, and a wrapper script around Envoy.
# Repaired: the original's check of the key prints the key.
#
#   SECRET   the secret's JSON
#   KEYS     folder for the PEM files
#   $@       Envoy's command line
set -euo pipefail
umask 077

PASSPHRASE=$(jq -r .Passphrase <<<"$SECRET")
jq -r .Certificate <<<"$SECRET" >"$KEYS/certificate.pem"
jq -r .CertificateChain <<<"$SECRET" >"$KEYS/chain.pem"
jq -r .PrivateKey <<<"$SECRET" >"$KEYS/encrypted_private_key.pem"

cat "$KEYS/certificate.pem" "$KEYS/chain.pem" >"$KEYS/certificate_chain.pem"
export PASSPHRASE
openssl rsa -in "$KEYS/encrypted_private_key.pem" -out "$KEYS/private_key.pem" -passin env:PASSPHRASE 2>/dev/null
openssl rsa -in "$KEYS/private_key.pem" -check -noout >/dev/null

unset SECRET PASSPHRASE
exec "$@"
