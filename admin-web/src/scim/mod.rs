//! People and groups as a provisioning client keeps them: SCIM 2.0 (RFC 7643, RFC 7644).
