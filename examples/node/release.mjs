// Records in ProGet what has been deployed: node release.mjs PACKAGE VERSION TARGET
// Address, API key and feed come from PROGET_URL, PROGET_API_KEY and PROGET_FEED.

import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const COME_BACK = [429, 503];

/**
 * Records a deployment; throws an Error with the reason if that cannot be done.
 *
 * Where an answer is lost, nobody knows whether the record was stored. It is sent again: what was deployed may be in
 * the history twice, with the same date, but never not at all.
 */
export async function record(proget, deployment) {
  const { attempts = 3, wait = sleep } = proget;
  const body = new URLSearchParams({ Date: new Date().toISOString(), ...deployment });
  for (let attempt = 1; ; attempt++) {
    const { problem, pause } = await send(proget, body);
    if (!problem) return;
    if (!pause || attempt === attempts) throw new Error(problem);
    await wait(pause * 1000);
  }
}

/** Sends a record; returns the problem, if there was one, and after how many seconds to send it again, if that helps. */
async function send({ url, key, timeout = 10_000 }, body) {
  try {
    const answer = await fetch(`${url}/api/package-deployment/`, {
      method: "POST",
      headers: { "X-ApiKey": key },
      body,
      signal: AbortSignal.timeout(timeout),
    });
    const text = await answer.text();
    if (answer.ok) return {};
    const pause = COME_BACK.includes(answer.status) && (Number(answer.headers.get("Retry-After")) || 1);
    return { problem: `ProGet answered ${answer.status}: ${text.trim()}`, pause };
  } catch (error) {
    return { problem: `ProGet did not answer: ${error.cause?.message ?? error.message}`, pause: 1 };
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [name, version, target] = process.argv.slice(2);
  // ... here it is deployed ...
  try {
    await record(
      { url: process.env.PROGET_URL, key: process.env.PROGET_API_KEY },
      {
        FeedName: process.env.PROGET_FEED ?? "DefaultNuGet",
        PackageName: name,
        Version: version,
        Target: target,
        Application: "release.mjs",
        Description: `${name} ${version} to ${target}`,
      },
    );
  } catch (error) {
    console.error(`${name} ${version} is deployed to ${target}, but not recorded: ${error.message}`);
    process.exitCode = 1;
  }
}
