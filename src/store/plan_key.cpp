// SPDX-License-Identifier: Apache-2.0
#include "store/plan_key.hpp"

namespace meridian::store {

namespace {

/// Writes values one after the other so that no two sequences give the same bytes.
class KeyWriter {
 public:
    std::string take() && { return std::move(out_); }

    // Not for what only converts to a condition, as many things do.
    void put(const std::same_as<Condition> auto& condition) {
        put(condition.index());
        std::visit([this](const auto& kind) { this->fields(kind); }, condition.as_variant());
    }

 private:
    template <class Value>
        requires std::is_arithmetic_v<Value> || std::is_enum_v<Value>
    void put(Value value) {
        out_.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    void put(const std::string& text) {
        put(text.size());
        out_ += text;
    }
    template <class Value>
    void put(const std::optional<Value>& value) {
        put(value.has_value());
        if (value) put(*value);
    }
    template <class Value>
    void put(const std::vector<Value>& values) {
        put(values.size());
        for (const Value& value : values) put(value);
    }
    void put(const std::unique_ptr<Condition>& condition) {
        put(condition != nullptr);
        if (condition != nullptr) put(*condition);
    }
    template <class Value>
    void put(const Box<Value>& box) {
        all(box.lo_from, box.lo_below, box.hi_above, box.hi_to);
    }
    void put(const Identity& identity) { all(identity.type, identity.id); }
    template <class... Values>
    void all(const Values&... values) {
        (put(values), ...);
    }

    void fields(const Everything&) {}
    void fields(const Nothing&) {}
    void fields(const AllOf& c) { put(c.parts); }
    void fields(const AnyOf& c) { put(c.parts); }
    void fields(const NoneOf& c) { put(c.parts); }
    void fields(const HasId& c) { all(c.type, c.ids); }
    void fields(const HasToken& c) { all(c.param, c.values); }
    void fields(const HasTokenIn& c) { all(c.param, c.first, c.last); }
    void fields(const HasString& c) { all(c.param, c.match, c.text); }
    void fields(const HasDate& c) { all(c.param, c.box); }
    void fields(const HasNumber& c) { all(c.param, c.box); }
    void fields(const HasQuantity& c) { all(c.param, c.units, c.box); }
    void fields(const HasUri& c) { all(c.param, c.below, c.uri); }
    // What concerns its targets is a promise about where to look, as a chart is below.
    void fields(const HasReference& c) { all(c.param, c.targets); }
    void fields(const HasComposite& c) { all(c.param, c.keys, c.seconds, c.box, c.starts); }
    void fields(const HasText& c) { all(c.param, c.words, c.phrase, c.prefix); }
    void fields(const HasAny& c) { put(c.param); }
    // A chart is a promise about where to look: no answer depends on it.
    void fields(const RefersTo& c) { all(c.param, c.target_type, c.target); }
    void fields(const ReferredBy& c) { all(c.param, c.source_type, c.source); }
    void fields(const OfPatient& c) { all(c.type, c.patients, c.codes, c.date_from, c.date_below); }
    void fields(const InCompartment& c) { all(c.patient, c.type); }
    void fields(const ChangedWithin& c) { all(c.from, c.below); }

    std::string out_;
};

}  // namespace

std::string condition_key(const Condition& condition) {
    KeyWriter writer;
    writer.put(condition);
    return std::move(writer).take();
}

}  // namespace meridian::store
