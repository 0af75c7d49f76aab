-- Posts the documented request, and prints what wrk counted as one line of JSON.
wrk.method = "POST"
wrk.body = "FeedName=DefaultNuGet&Application=ProfitCalc&Description=Deployed by Custom Release Server"
  .. "&Target=localhost&PackageName=Newtonsoft.Json&Version=12.0.3"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
wrk.headers["X-ApiKey"] = "abc12345"

-- For servers that take something else: see double.py.
if os.getenv("AUTHORIZATION") then
  wrk.method = "PUT"
  wrk.headers["Content-Type"] = "text/plain"
  wrk.headers["Authorization"] = os.getenv("AUTHORIZATION")
end

-- For the peers: see peers.py.
if os.getenv("POST_JSON") then
  wrk.body = os.getenv("POST_JSON")
  wrk.headers["Content-Type"] = "application/json"
  if os.getenv("POST_TOKEN") then wrk.headers["Authorization"] = "Bearer " .. os.getenv("POST_TOKEN") end
end

-- With SKEWED set: 5,000 packages and 2,000 targets, a few of which are in most requests, as in real life (log-uniform,
-- which is close to Zipf's law), with 20 applications, 300 users and a version that rises.
if os.getenv("SKEWED") then
  local requests, number = {}, 0
  local function one_of(count) return math.floor(count ^ math.random()) end

  function init(arguments)
    math.randomseed(1)
    for n = 1, 20000 do
      local package = one_of(5000)
      requests[n] = wrk.format(nil, nil, nil, string.format(
        "FeedName=DefaultNuGet&Application=App%d&Description=Release %d of pipeline %d&Target=web%d.prod"
          .. "&PackageName=Acme.Package%d&Version=1.%d.%d&UserName=user%d",
        one_of(20), n, n * 7 % 1000, (package * 37 + one_of(200)) % 2000, package, n / 1000, package % 7, one_of(300)))
    end
  end

  function request()
    number = number % #requests + 1
    return requests[number]
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nJSON {"requests":%d,"microseconds":%d,"not_2xx":%d,"failed":%d,"p50":%d,"p99":%d}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
