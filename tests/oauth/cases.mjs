// SPDX-License-Identifier: Apache-2.0
// Runs cases one after the other and prints a line for each.
let passed = 0;
const failed = [];

export async function check(name, play) {
  try {
    await play();
    passed += 1;
    console.log(`ok    ${name}`);
  } catch (error) {
    failed.push(name);
    const cause = error.cause instanceof Error ? ` <- ${error.cause.message}` : error.cause ? ` <- ${JSON.stringify(error.cause)}` : '';
    console.log(`FAIL  ${name}: ${error.message}${cause}`);
    if (process.env.VERBOSE) console.log(error.stack);
  }
}

export function finish() {
  console.log(`${passed} passed, ${failed.length} failed`);
  return failed.length === 0;
}
