"""The words that an installation is made of: feeds, packages, groups, targets, applications, people, descriptions."""

from __future__ import annotations

from collections.abc import Mapping

FEED_TYPES = (
    "nuget", "npm", "docker", "nuget", "universal", "maven", "pypi", "nuget", "helm", "docker", "powershell", "npm",
    "chocolatey", "debian", "rpm", "rubygems", "nuget", "docker", "cargo", "npm", "universal", "terraform", "maven",
    "alpine", "conda", "vsix",
)  # fmt: skip
"""Types of feeds in the order in which an installation gets them; again from the start after the last."""

FEED_QUALIFIERS = ("internal", "approved", "public", "unstable", "legacy", "emea", "labs", "vendor", "dr")

PUBLIC_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "nuget": ("Newtonsoft.Json", "Serilog", "Dapper", "AutoMapper", "NLog", "Polly", "Quartz", "MassTransit"),
    "npm": ("@angular/core", "@babel/core", "react", "lodash", "express", "typescript", "webpack", "vite", "axios"),
    "docker": ("library/nginx", "library/redis", "library/postgres", "grafana/grafana", "prom/prometheus", "traefik"),
    "maven": (
        "org.apache.commons/commons-lang3", "com.google.guava/guava", "org.slf4j/slf4j-api",
        "org.hibernate/hibernate-core",
    ),
    "pypi": ("requests", "numpy", "Django", "Flask", "SQLAlchemy", "aiohttp", "ruamel.yaml", "zope.interface"),
    "powershell": ("Pester", "PSReadLine", "dbatools", "Az.Accounts", "ImportExcel", "PSWindowsUpdate"),
    "chocolatey": ("googlechrome", "notepadplusplus", "7zip", "git", "vlc", "putty", "firefox", "sysinternals"),
    "debian": ("nginx", "openssl", "libc6", "postgresql-15", "python3.11", "curl", "g++-12"),
    "rpm": ("kernel-core", "openssl-libs", "httpd", "podman", "java-17-openjdk", "libstdc++"),
    "helm": ("ingress-nginx", "cert-manager", "kube-prometheus-stack", "argo-cd", "external-dns"),
    "rubygems": ("rails", "puma", "nokogiri", "sidekiq"),
    "cargo": ("ripgrep", "serde_json", "tokio"),
    "alpine": ("busybox", "musl", "ca-certificates"),
    "conda": ("scikit-learn", "pandas", "jupyterlab"),
    "terraform": ("hashicorp/consul", "terraform-aws-modules/vpc"),
}  # fmt: skip
"""Packages that exist, with ``group/`` before the name where they have one."""

DOMAINS = (
    "billing", "orders", "customer", "inventory", "shipping", "payments", "catalog", "search", "pricing", "reports",
    "identity", "accounts", "ledger", "tax", "warehouse", "returns", "loyalty", "campaign", "notification",
    "document", "archive", "audit", "forecast", "planning", "scheduling", "fleet", "telemetry", "metering", "claims",
    "policy", "portal", "intranet", "kiosk", "label", "print", "export", "import", "gateway", "booking", "calendar",
    "contract", "credit", "device", "energy", "event", "fraud", "geo", "hr", "invoice", "legal", "mail", "media",
    "network", "offer", "payroll", "quality", "risk", "sales", "survey", "ticket", "vendor", "wallet",
)  # fmt: skip

PARTS = (
    "api", "web", "worker", "core", "client", "service", "batch", "ui", "data", "sync", "admin", "jobs", "common",
    "events", "cache", "proxy", "schema", "agent", "tools", "migrations", "reporting", "connector", "sdk", "mobile",
    "tests", "config", "auth", "store", "bridge", "monitor", "import", "templates", "legacy", "adapter", "scheduler",
    "assets",
)  # fmt: skip

GROUPS: Mapping[str, tuple[str, ...]] = {
    "npm": ("@acme", "@acme", "@platform", "@shared", "@ui", "@labs", ""),
    "maven": ("com.example.{0}", "com.example", "org.example.{0}", "net.example.platform"),
    "docker": ("{0}", "platform", "apps", "base", ""),
    "universal": ("apps", "apps/{0}", "infrastructure", "", ""),
    "terraform": ("acme", "platform"),
}
"""Groups by type of feed, with the package's domain for ``{0}``; types that are not here have no groups."""

PLATFORMS: Mapping[str, tuple[str, ...]] = {
    "nuget": ("windows", "windows", "linux"), "npm": ("linux", "kubernetes"), "docker": ("kubernetes",),
    "universal": ("linux", "windows", "edge"), "maven": ("linux", "kubernetes"), "helm": ("kubernetes",),
    "powershell": ("windows",), "chocolatey": ("windows", "edge"), "vsix": ("windows",), "terraform": ("kubernetes",),
}  # fmt: skip
"""What the packages of a type run on; the types that are not here, on Linux."""

TARGETS: Mapping[str, tuple[str, ...]] = {
    "linux": (
        "web{n:02}.{env}",
        "app-{n:02}.{env}",
        "db-{n:02}.{env}",
        "api{n:03}.{env}.eu.example.net",
        "mq-{n:02}.{env}",
    ),
    "windows": ("{ENV}-IIS-{n:02}", "{ENV}-APP-{n:03}", "WIN-{ENV}-SQL{n:02}", "{ENV}-RDS-{n:02}.corp.example.com"),
    "kubernetes": (
        "k8s-{env}-{n:02}",
        "aks-{env}-weu/{namespace}-{n:02}",
        "eks-{env}/{namespace}-{n}",
        "{namespace}-{n}.{env}",
    ),
    "edge": ("pos-{n:04}.{env}", "kiosk-Zürich-{n:03}.{env}", "edge-{n:03}.{env}"),
}
ENVIRONMENTS = {"early": ("dev", "test", "staging", "staging"), "late": ("prod",)}
NAMESPACES = ("default", "payments", "shop", "platform", "monitoring", "data", "backoffice")

# An application, how often it is the one, its service account, and where its URLs lead.
APPLICATIONS = (
    ("Octopus Deploy", 22, "svc-octopus", "https://octopus.example.com/app#/projects/{package}/releases/{version}"),
    ("BuildMaster", 16, "API", "http://buildmaster:8622/applications/{number}/releases/{version}"),
    ("Azure DevOps", 14, "svc-azdo", "https://dev.azure.com/example/_release?releaseId={number}"),
    ("Jenkins", 14, "jenkins", "http://jenkins.example.com:8080/job/{package}/{number}/"),
    ("GitHub Actions", 10, "github-actions[bot]", "https://github.com/example/{package}/actions/runs/9{number:08}"),
    ("Ansible", 8, "ansible", "https://awx.example.com/#/jobs/playbook/{number}/output"),
    ("GitLab CI", 7, "gitlab-runner", "https://gitlab.example.com/acme/{package}/-/pipelines/{number}"),
    ("Argo CD", 7, "argocd", "https://argocd.example.com/applications/argocd/{package}?view=tree"),
    ("TeamCity", 5, "svc-teamcity", "https://teamcity.example.com/viewLog.html?buildId={number}&tab=buildLog"),
    ("Otter", 4, "svc-otter", "http://otter/jobs/{number}"),
    ("Chocolatey", 4, "SYSTEM", ""),
    ("Microsoft Configuration Manager", 3, "svc-sccm", ""),
    ("Puppet", 3, "puppet", "https://puppet.example.com/#/inspect/overview"),
    ("Flux", 3, "flux", ""),
    ("Terraform", 2, "terraform", "https://app.terraform.io/app/acme/workspaces/{package}/runs/run-{number}"),
    ("Salt", 2, "root", ""),
    ("PDQ Deploy", 2, "svc-pdq", ""),
    ("deploy.ps1", 2, "Administrator", ""),
    ("release.sh", 1, "deploy", ""),
    ("cron: nightly-update", 1, "root", ""),
    ("NuGet", 1, "API", ""),
)

FIRST_NAMES = (
    "anna", "ben", "carla", "david", "elena", "finn", "grace", "hugo", "ines", "jonas", "katja", "liam", "maria",
    "noah", "olga", "paul", "quinn", "rosa", "sven", "tara", "ulla", "victor", "wanda", "xavier", "yuki", "zoë",
    "jürgen", "łukasz", "søren", "chloé",
)  # fmt: skip

TEMPLATED = (
    "Deployed by {application}",
    "Deploy {package} {version} to {target}",
    "{application}: {package} {version}",
    "Scheduled deployment",
    "Automatic rollout to {target}",
    "Déploiement automatique de {package}",
    "Release {version}",
)
"""Descriptions that repeat, the first more often than the last; ``{target}`` is filled in for each record."""

UNIQUE = (
    "Build #{number} of pipeline {package}-release, commit {commit}",
    "CHG{number:07}: {topic}",
    "{package} {version} (build {number}): {topic}",
    "Run {number} on {target}: {topic}",
    "Approved in REQ-{number} by {user}: {topic}",
    "{topic} ({commit})",
    "Version {version} für Standort Zürich, Auftrag {number}: {topic}",
    "Release notes for {version}:\n- {topic}\n- {topic2}\n\nBuild {number}",
    "{topic}\r\nPipeline: {package}\r\nCommit: {commit}",
)
"""Descriptions that no other rollout has."""

TOPICS = (
    "fixes rounding of totals", "updates dependencies", "security patch", "new search page",
    "timeouts are configurable", "removes the old endpoint", "faster start", "fixes memory leak", "adds audit log",
    "translations", "hotfix for login", "Übersetzungen ergänzt", "correction d’un problème d’accès", "修复登录问题",
    "feature flags on", "logging cleaned up", "database migration", "raises connection limits",
    "TLS certificates renewed", "retries on 503", "nuevo informe mensual",
)  # fmt: skip
ROLLBACK = "Rollback of {package} from {bad} to {version}: {topic}"
ROLLBACK_REASONS = (
    "errors in the log",
    "health check failed",
    "slow answers",
    "wrong configuration",
    "asked for by support",
)
