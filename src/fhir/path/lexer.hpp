// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

/// Tokens of FHIRPath (N1 appendix B, the grammar's lexical part). Private to the engine.
namespace meridian::fhir::path {

enum class TokenKind : unsigned char {
    end,
    identifier,  ///< a plain name, keywords included
    delimited,   ///< `name`
    string,      ///< decoded
    number,
    date,
    date_time,
    time,
    special,   ///< $this, $index, $total: text without the dollar
    external,  ///< %name, %`name`, %'name': text without the percent sign
    symbol,    ///< an operator or bracket
};

struct Token {
    TokenKind kind = TokenKind::end;
    std::string text;
    unsigned line = 1, column = 1;
};

/// Cuts an expression into tokens; the last one is `end`. Errors: `incorrect` with line and column.
Result<std::vector<Token>> tokenize(std::string_view text);

}  // namespace meridian::fhir::path
