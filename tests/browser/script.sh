#!/usr/bin/env bash
# The page script on real pages in headless Chromium, against the real program: formats, frameworks, tabs, history,
# policies, consent, and allocators that are slow, dead or not there. Pictures before and after: PICTURES=DIR keeps them.
# SCRIPT=FILE is tried in place of the script in the program, which needs no new build then.
. "$(dirname "$0")/../interop/lib.sh"
begin browser_script
REACT=/usr/share/nodejs/react/umd VUE=/usr/share/javascript/vue
[ -d $REACT ] && [ -d ${REACT/react\//react-dom/} ] && [ -d $VUE ] ||
    { echo "React and Vue are missing: apt-get install node-react node-react-dom libjs-vue"; exit 77; }
WEB=8090
EXTRA=$(cat <<TOML
[[company]]
name = "shop"
forward_to = ["sip:{number}@$COMPANY:5080"]
[[site]]
name = "shop"
company = "shop"
origins = ["http://www.shop.example:$WEB", "http://m.shop.example:$WEB", "http://other.example:$WEB"]
[[pool]]
name = "shop-web"
company = "shop"
site = "shop"
kind = "dynamic"
numbers = ["+442079460100..+442079460199"]
TOML
)
start_leaseline
mkdir -p "${PICTURES:=$WORK/pictures}"
# Modules of Debian packages.
export NODE_PATH=/usr/share/nodejs
check "the page script on real pages" node "$ROOT/tests/browser/script.mjs" "$API" "$NODE" $WEB "$PICTURES"
stop_leaseline
