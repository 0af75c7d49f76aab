-- Posts the documented request, and prints what wrk counted as one line of JSON.
wrk.method = "POST"
wrk.body = "FeedName=DefaultNuGet&Application=ProfitCalc&Description=Deployed by Custom Release Server"
  .. "&Target=localhost&PackageName=Newtonsoft.Json&Version=12.0.3"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
wrk.headers["X-ApiKey"] = "abc12345"

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nJSON {"requests":%d,"microseconds":%d,"not_2xx":%d,"failed":%d,"p50":%d,"p99":%d}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
