// release.mjs against `deployserver double`, which is started once; each test has a ProGet of its own in it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, beforeEach, test } from "node:test";

import { record } from "./release.mjs";

const DEPLOYMENT = {
  FeedName: "DefaultNuGet",
  PackageName: "Newtonsoft.Json",
  Version: "12.0.3",
  Target: "web-01",
  Application: "release.mjs",
  Description: "to web-01",
};

// It says in one line where it is, and ends with this process at the latest.
const double = spawn("deployserver", ["double", "--namespaces"], { stdio: ["ignore", "pipe", "inherit"] });
const [line] = await once(createInterface(double.stdout), "line");
const { url: root, key } = JSON.parse(line);
after(() => double.kill());

let count = 0;
let proget, waits;

beforeEach(() => {
  // Every name makes a new world, with the same feed and key, and nothing else in common with the others.
  proget = { url: `${root}/ns/test-${++count}`, key, wait: (milliseconds) => waits.push(milliseconds) };
  waits = [];
});

async function control(method, path, document) {
  const answer = await fetch(`${proget.url}/__double__/${path}`, { method, body: JSON.stringify(document) });
  const text = await answer.text();
  if (!answer.ok) assert.fail(text);
  return text && JSON.parse(text);
}

const addFault = (fault) => control("POST", "faults", fault);
const assertDeployed = (criteria) => control("POST", "verify", { deployed: criteria });
const assertNothingDeployed = () => control("POST", "verify", { notDeployed: {} });

test("records what was deployed", async () => {
  await record(proget, DEPLOYMENT);
  await assertDeployed({ package: "Newtonsoft.Json", version: "12.0.3", target: "web-01", times: 1 });
});

test("says why a record was refused, and does not try again", async () => {
  await assert.rejects(record({ ...proget, key: "wrong" }, DEPLOYMENT), /403: The API key is not valid/);
  assert.equal((await control("GET", "requests")).length, 1);
});

test("comes back when it is told to", async () => {
  await addFault({ do: "answer", status: 503, retry_after: 7, first: 2 });
  await record(proget, DEPLOYMENT);
  assert.deepEqual(waits, [7000, 7000]);
  await assertDeployed({ package: "Newtonsoft.Json", times: 1 });
});

test("gives up after three attempts", async () => {
  await addFault({ do: "answer", status: 429, retry_after: 60 });
  await assert.rejects(record(proget, DEPLOYMENT), /answered 429/);
  assert.deepEqual(waits, [60_000, 60_000]);
  await assertNothingDeployed();
});

for (const loss of ["reset", "close", "hang", "cut", "garbage"]) {
  test(`sends again what may have been stored: ${loss}`, async () => {
    await addFault({ do: loss, when: "stored", first: 1 });
    await record({ ...proget, timeout: 500 }, DEPLOYMENT);
    const { deployments } = await control("GET", "state");
    assert.equal(deployments.length, 2);
    assert.equal(deployments[0].Date, deployments[1].Date);
  });
}

test("says when the key has expired", async () => {
  await control("POST", "state", { keys: { key: "december", feeds: "DefaultNuGet", expires: "2030-12-31" } });
  await control("PUT", "clock", { now: "2030-12-30T23:00:00Z" });
  await record({ ...proget, key: "december" }, DEPLOYMENT);
  await control("PUT", "clock", { advance: 3600 });
  await assert.rejects(record({ ...proget, key: "december" }, DEPLOYMENT), /403: .*expired/);
});
