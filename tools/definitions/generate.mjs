#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Turns the published FHIR R4 definitions (npm packages, CC0) into the two compact files that the server embeds:
//   data/r4/definitions.zst   types, elements, bindings, search parameters, compartments, operations, value set members
//   data/r4/terminology.zst   CodeSystems, ValueSets, ConceptMaps and StructureDefinitions, in frames of about 128 KiB
// Their line format is described in tools/definitions/README.md. The same input gives the same bytes.
//
// Usage: node tools/definitions/generate.mjs EXAMPLES_PACKAGE_DIR EXPANSIONS_PACKAGE_DIR [OUTPUT_DIR]
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const [examplesDir, expansionsDir, outputDir = 'data/r4'] = process.argv.slice(2);
if (!examplesDir || !expansionsDir) {
  console.error('usage: generate.mjs EXAMPLES_PACKAGE_DIR EXPANSIONS_PACKAGE_DIR [OUTPUT_DIR] (unpacked npm packages)');
  process.exit(2);
}

const SPEC = 'http://hl7.org/fhir/StructureDefinition/';
const FRAME_BYTES = 128 * 1024;
// Resources of the examples package that only illustrate how such a resource looks.
const ILLUSTRATIONS = new Set(['example', 'example-extension', 'example-reference']);

const byText = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const byKey = (key) => (a, b) => byText(key(a), key(b));
const oneLine = (text) => (text ?? '').replace(/\s+/g, ' ').trim();
const withoutVersion = (canonical) => (canonical ?? '').split('|')[0];

function load(dir) {
  return fs
    .readdirSync(dir)
    .filter((name) => name.endsWith('.json') && name !== 'package.json' && !name.startsWith('.'))
    .sort(byText)
    .map((name) => JSON.parse(fs.readFileSync(path.join(dir, name), 'utf8')))
    .filter((resource) => resource.resourceType);
}

const examples = load(examplesDir);
const expansions = new Map(
  load(expansionsDir).filter((r) => r.resourceType === 'ValueSet').map((r) => [r.url, r]),
);
const ofType = (type) => examples.filter((r) => r.resourceType === type);
const structures = ofType('StructureDefinition');
const codeSystems = new Map(ofType('CodeSystem').map((r) => [r.url, r]));
const valueSets = new Map(ofType('ValueSet').map((r) => [r.url, r]));

const lines = [];
const emit = (...fields) => lines.push(fields.join('\t'));

// ---------------------------------------------------------------- types

const types = new Map(
  structures
    .filter((s) => s.url.startsWith(SPEC) && s.kind !== 'logical' && s.snapshot)
    .filter((s) => s.derivation === 'specialization' || s.name === 'Element' || s.name === 'Resource')
    .map((s) => [s.type, s]),
);

/** Bases before what derives from them, otherwise data types first and by name. */
function typesInOrder() {
  const done = new Set();
  const order = [];
  const visit = (structure) => {
    if (done.has(structure.type)) return;
    done.add(structure.type);
    const base = types.get(baseOf(structure));
    if (base) visit(base);
    order.push(structure);
  };
  const rank = { 'primitive-type': 0, 'complex-type': 1, resource: 2 };
  [...types.values()].sort((a, b) => rank[a.kind] - rank[b.kind] || byText(a.type, b.type)).forEach(visit);
  return order;
}

const baseOf = (structure) => (structure.baseDefinition ?? '').replace(SPEC, '');

const invariants = new Map(); // line → index
function invariantIndex(constraint) {
  const line = ['I', constraint.key, constraint.severity === 'error' ? 'e' : 'w', oneLine(constraint.human),
    oneLine(constraint.expression)].join('\t');
  if (!invariants.has(line)) {
    invariants.set(line, invariants.size);
    lines.push(line);
  }
  return invariants.get(line);
}
const invariantList = (constraints) => constraints.filter((c) => c.expression).map(invariantIndex).join(',');

/** The FHIR type of an element whose declared type is one of FHIRPath's own (ids and Extension.url). */
function systemType(element) {
  const last = element.path.split('.').pop();
  if (last === 'url') return 'uri';
  return element.base?.path === 'Resource.id' ? 'id' : 'string';
}

function typeField(element) {
  if (element.contentReference) return element.contentReference.replace(/^.*#/, '');
  const list = element.type ?? [];
  if (list.length === 1 && (list[0].code === 'BackboneElement' || list[0].code === 'Element')) return element.path;
  return list
    .map((type) => {
      const code = type.code.startsWith('http://hl7.org/fhirpath/') ? systemType(element) : type.code;
      const targets = (type.targetProfile ?? []).map((t) => withoutVersion(t).replace(SPEC, ''));
      return targets.length && !targets.includes('Resource') ? `${code}(${targets.join('|')})` : code;
    })
    .join(' ');
}

const isBackbone = (element) =>
  element.type?.length === 1 && (element.type[0].code === 'BackboneElement' || element.type[0].code === 'Element');

const bindingLetter = { required: 'r', extensible: 'e', preferred: 'p', example: 'x' };

function elementFields(element, knownInvariants) {
  const name = element.path.split('.').pop();
  const flags = (name.endsWith('[x]') ? 'c' : '') + (element.isSummary ? 's' : '') + (element.isModifier ? 'm' : '');
  const own = (element.constraint ?? []).filter((c) => !knownInvariants.has(c.key));
  return ['E', name.replace('[x]', ''), element.min, element.max, flags,
    bindingLetter[element.binding?.strength] ?? '', withoutVersion(element.binding?.valueSet), typeField(element),
    // What a backbone element demands is written at its own type, so that it also holds where a contentReference leads there.
    isBackbone(element) ? '' : invariantList(own), element.fixedUri ?? ''];
}

const keysOf = (constraints) => new Set((constraints ?? []).map((c) => c.key));
const rootKeys = new Map([...types.values()].map((s) => [s.type, keysOf(s.snapshot.element[0].constraint)]));
const emitted = new Map(); // type → Map(element name → fields)

/** Invariants that the element's types bring along anyway. */
function invariantsOfTypes(element) {
  const keys = new Set(['ele-1']);
  for (const type of element.type ?? []) for (const key of rootKeys.get(type.code) ?? []) keys.add(key);
  return keys;
}

function emitType(name, kind, abstract, base, constraints, elements) {
  emit('T', name, kind, abstract ? 1 : 0, base || '-', invariantList(constraints));
  const inherited = emitted.get(base) ?? new Map();
  const all = new Map(inherited);
  for (const element of elements) {
    const fields = elementFields(element, invariantsOfTypes(element));
    const before = inherited.get(fields[1]);
    // An inherited element is written again only where the derived definition changes it.
    if (before && before.slice(1).join() === fields.slice(1).join()) continue;
    all.set(fields[1], fields);
    emit(...fields);
  }
  emitted.set(name, all);
}

function emitStructure(structure) {
  const elements = structure.snapshot.element;
  const kind = { 'primitive-type': 'p', 'complex-type': 'c', resource: 'r' }[structure.kind];
  const childrenOf = (parent) => {
    const depth = parent.split('.').length + 1;
    return elements
      .filter((e) => e.path.startsWith(`${parent}.`) && e.path.split('.').length === depth && e.max !== '0')
      // The value of a primitive is the JSON scalar itself, no element.
      .filter((e) => !(kind === 'p' && e.path.endsWith('.value')));
  };
  emitType(structure.type, kind, structure.abstract, baseOf(structure), elements[0].constraint ?? [], childrenOf(structure.type));
  for (const element of elements.slice(1).filter(isBackbone)) {
    emitType(element.path, 'b', false, element.type[0].code, element.constraint ?? [], childrenOf(element.path));
  }
}

typesInOrder().forEach(emitStructure);

// ---------------------------------------------------------------- search parameters, compartments, operations

for (const parameter of ofType('SearchParameter').sort(byKey((p) => p.url))) {
  if (ILLUSTRATIONS.has(parameter.id) || !parameter.base) continue;
  const special = ['_text', '_content', '_query', '_filter'].includes(parameter.code);
  if (!parameter.expression && !special) continue;
  // hasExtension() is no function of FHIRPath; one R4 parameter uses it.
  const expression = oneLine(parameter.expression).replace(/hasExtension\(([^()]*)\)/g, 'extension($1).exists()');
  for (const base of parameter.base) {
    emit('Q', parameter.url, parameter.code, base, parameter.type, expression, (parameter.target ?? []).join(' '));
    for (const component of parameter.component ?? []) {
      emit('C', withoutVersion(component.definition), oneLine(component.expression));
    }
  }
}

for (const compartment of ofType('CompartmentDefinition').sort(byKey((c) => c.code))) {
  if (ILLUSTRATIONS.has(compartment.id)) continue;
  emit('K', compartment.code);
  for (const member of [...compartment.resource].sort(byKey((m) => m.code))) {
    if (member.param?.length) emit('M', member.code, member.param.join(' '));
  }
}

for (const operation of ofType('OperationDefinition').sort(byKey((o) => o.url))) {
  if (!operation.url.startsWith('http://hl7.org/')) continue;
  const flags = (operation.system ? 's' : '') + (operation.type ? 't' : '') + (operation.instance ? 'i' : '');
  emit('P', operation.code, operation.url, flags, (operation.resource ?? []).join(' '));
}

// ---------------------------------------------------------------- members of value sets with a required binding

function requiredValueSets() {
  const urls = new Set();
  for (const structure of structures) {
    for (const element of structure.snapshot?.element ?? []) {
      if (element.binding?.strength === 'required' && element.binding.valueSet) urls.add(withoutVersion(element.binding.valueSet));
    }
  }
  return [...urls].sort(byText);
}

const addTo = (found, system, code) => {
  if (!found.has(system)) found.set(system, new Set());
  found.get(system).add(code);
};

function fromExpansion(expansion) {
  if (!expansion || expansion.extension?.some((e) => e.url.includes('toocostly'))) return null;
  const found = new Map();
  const walk = (list) => {
    for (const concept of list ?? []) {
      if (concept.code && !concept.abstract) addTo(found, concept.system, concept.code);
      walk(concept.contains);
    }
  };
  walk(expansion.contains);
  return found.size ? found : null;
}

/** Of sets without a published expansion: code lists and whole code systems of the package, no filters. */
function fromCompose(compose) {
  if (!compose?.include?.length || compose.exclude) return null;
  const found = new Map();
  for (const include of compose.include) {
    if (include.filter || include.valueSet || !include.system) return null;
    const system = codeSystems.get(include.system);
    if (!include.concept && system?.content !== 'complete') return null;
    const walk = (list) => {
      for (const concept of list ?? []) {
        addTo(found, include.system, concept.code);
        walk(concept.concept);
      }
    };
    walk(include.concept ?? system.concept);
  }
  return found.size ? found : null;
}

/** Map system → sorted codes, or null when not every member is known. */
function members(url) {
  const found = fromExpansion(expansions.get(url)?.expansion) ?? fromCompose(valueSets.get(url)?.compose);
  return found && new Map([...found].sort(byKey((e) => e[0])).map(([system, codes]) => [system, [...codes].sort(byText)]));
}

const lists = new Map(); // "system\tcodes" → index
const valueSetLines = [];
const notEnumerable = [];
for (const url of requiredValueSets()) {
  const found = members(url);
  if (!found) {
    notEnumerable.push(url);
    continue;
  }
  const indices = [];
  for (const [system, codes] of found) {
    if (codes.some((code) => /\s/.test(code))) throw new Error(`${url} has a code with white space`);
    const key = `${system}\t${codes.join(' ')}`;
    if (!lists.has(key)) lists.set(key, lists.size);
    indices.push(lists.get(key));
  }
  valueSetLines.push(['V', url, indices.join(',')].join('\t'));
}
for (const key of lists.keys()) lines.push(`L\t${key}`);
lines.push(...valueSetLines);

for (const url of [...codeSystems.keys()].sort(byText)) if (codeSystems.get(url).caseSensitive) emit('S', url);
// Systems of others that say they are case-sensitive: UCUM's "c/s" column is what FHIR uses (R4, Using UCUM with FHIR).
emit('S', 'http://unitsofmeasure.org');

// ---------------------------------------------------------------- terminology and profile resources

const expandable = (system) => /^urn:(iso|ietf)/.test(system ?? '');

/** Without what a server never uses: narratives, differentials beside a snapshot, mappings to other standards. */
function slim(resource) {
  const { text, differential, mapping, contact, ...rest } = resource;
  if (!rest.snapshot && differential) rest.differential = differential;
  if (rest.snapshot) {
    rest.snapshot = { element: rest.snapshot.element.map(({ mapping: dropped, requirements, ...element }) => element) };
  }
  if (rest.resourceType === 'ValueSet') {
    // Its code system is not in the package, but the published expansion lists all of it (currencies).
    const foreign = rest.compose?.include?.some((i) => expandable(i.system) && !i.concept && !codeSystems.has(i.system));
    if (foreign && members(rest.url)) rest.expansion = expansions.get(rest.url).expansion;
  }
  return rest;
}

// --stream-size writes the unpacked length into the frame's header: the reader relies on it.
const compress = (buffer) =>
  execFileSync('zstd', ['-19', '-q', '-c', '--no-check', `--stream-size=${buffer.length}`], { input: buffer, maxBuffer: 1 << 28 });

const frames = [];
let pending = [];
let pendingBytes = 0;
let offset = 0;
function closeFrame() {
  if (!pendingBytes) return;
  const packed = compress(Buffer.concat(pending));
  emit('F', offset, packed.length, pendingBytes);
  frames.push(packed);
  offset += packed.length;
  pending = [];
  pendingBytes = 0;
}

const resourceLines = [];
for (const type of ['CodeSystem', 'ConceptMap', 'StructureDefinition', 'ValueSet']) {
  const seen = new Set();
  for (const resource of ofType(type).sort(byKey((r) => `${r.url}\n${r.id}`))) {
    if (!resource.url || seen.has(resource.url)) continue;
    seen.add(resource.url);
    const text = Buffer.from(JSON.stringify(slim(resource)));
    resourceLines.push(['R', type, resource.url, frames.length, pendingBytes, text.length].join('\t'));
    pending.push(text);
    pendingBytes += text.length;
    if (pendingBytes >= FRAME_BYTES) closeFrame();
  }
  closeFrame();
}
lines.push(...resourceLines);

// ---------------------------------------------------------------- output

fs.mkdirSync(outputDir, { recursive: true });
const text = Buffer.from(`meridian-definitions\t1\n${lines.join('\n')}\n`);
fs.writeFileSync(path.join(outputDir, 'definitions.zst'), compress(text));
fs.writeFileSync(path.join(outputDir, 'terminology.zst'), Buffer.concat(frames));
console.log(`definitions: ${lines.length} lines, ${text.length} bytes, packed ${fs.statSync(path.join(outputDir, 'definitions.zst')).size}`);
console.log(`terminology: ${resourceLines.length} resources, ${frames.length} frames, packed ${offset}`);
console.log(`value sets with a required binding whose members are not known: ${notEnumerable.join(' ')}`);
if (process.env.MERIDIAN_DEFINITIONS_TEXT) fs.writeFileSync(process.env.MERIDIAN_DEFINITIONS_TEXT, text);
