// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "base/json.hpp"
#include "rest/answer.hpp"

namespace meridian::rest::terminology {

/// A Parameters resource on its way out.
class Out {
 public:
    Out() { list_ = document.array(); }

    JsonDocument document;

    Json part(std::string_view name, std::string_view member, Json value) {
        Json made = document.object();
        document.set(made, "name", document.string(name));
        document.set(made, member, value);
        return made;
    }
    void add(Json parameter) { document.append(list_, parameter); }
    void add(std::string_view name, std::string_view member, Json value) {
        add(part(name, member, value));
    }
    void add_text(std::string_view name, std::string_view member, std::string_view text) {
        if (!text.empty()) add(name, member, document.string(text));
    }
    void add_parts(std::string_view name, Json parts) { add(name, "part", parts); }

    Answer answer() {
        Json root = document.object();
        document.set(root, "resourceType", document.string("Parameters"));
        document.set(root, "parameter", list_);
        Answer made;
        made.json = to_text(root);
        return made;
    }

 private:
    Json list_;
};

}  // namespace meridian::rest::terminology
