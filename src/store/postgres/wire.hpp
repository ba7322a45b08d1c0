// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.hpp"

namespace meridian::store::postgres {

/// How the way to a database is protected: libpq's `sslmode` for what a URL or a list of
/// keyword=value pairs leaves open. "verify-full" for a database on another machine, so that TLS is
/// spoken with the host of that name or nothing is; "prefer" for one on this machine. Errors:
/// `incorrect` for what libpq does not understand, and for a mode (disable, allow, prefer) that
/// would let the record, or a password, travel in the clear to another machine. Blocking: never.
/// Source: PostgreSQL 15, §34.19.1.
Result<std::string> default_tls_mode(const std::string& url);

}  // namespace meridian::store::postgres
