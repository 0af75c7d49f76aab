#!/bin/sh
# Records in ProGet what has been deployed: release.sh PACKAGE VERSION TARGET
# Address, API key and feed come from PROGET_URL, PROGET_API_KEY and PROGET_FEED.
set -eu
package=$1 version=$2 target=$3
# ... here it is deployed ...

# curl comes back after a 503 or 429, as soon as Retry-After allows. It also does after 500, 502, 504 and where it has
# waited too long, so a record may be there twice. Where the connection breaks before the answer, nobody knows whether
# the record was stored: it is not sent again, and somebody has to look.
if answer=$(curl --silent --show-error --fail-with-body --max-time 30 --retry 3 \
    --header "X-ApiKey: $PROGET_API_KEY" \
    --data-urlencode "FeedName=${PROGET_FEED:-DefaultNuGet}" \
    --data-urlencode "PackageName=$package" \
    --data-urlencode "Version=$version" \
    --data-urlencode "Target=$target" \
    --data-urlencode "Application=release.sh" \
    --data-urlencode "Description=$package $version to $target" \
    "$PROGET_URL/api/package-deployment/"); then
    exit 0
else
    status=$?
fi

case $status in
    22) echo "$package $version is deployed to $target, but not recorded: $answer" >&2 ;;
    7) echo "$package $version is deployed to $target, but not recorded: ProGet cannot be reached" >&2 ;;
    *) echo "$package $version is deployed to $target, and perhaps recorded: look before you record it again" >&2 ;;
esac
exit 1
