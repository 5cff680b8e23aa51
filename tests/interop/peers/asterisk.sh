# Sourced after lib.sh: a real Asterisk. Debian's present release has none, the release before has: its packages are
# fetched from the mirror that this machine uses, and unpacked into target/peers, outside of the system. Nothing is
# installed, no service is started.

AST_HOME=${AST_HOME:-$ROOT/target/peers/asterisk}

# asterisk_present: unpacks Asterisk unless that was done before. Exit 77 when it cannot be had.
asterisk_present() {
    if [ ! -x "$AST_HOME/root/usr/sbin/asterisk" ]; then
        local mirror state=$AST_HOME/apt options
        mirror=$(grep -rhoE 'https?://[^ ]*debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -1)
        [ -n "$mirror" ] || { echo "no Debian mirror is configured here"; exit 77; }
        rm -rf "$AST_HOME"
        mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$AST_HOME/root"
        : >"$state/status"
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror% } bullseye main" >"$state/list"
        options="-o Dir::Etc::sourcelist=$state/list -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists=$state/lists"
        options="$options -o Dir::Cache=$state/cache -o Dir::State::status=$state/status -o APT::Sandbox::User=root"
        # shellcheck disable=SC2086
        { apt-get $options update && apt-get $options install -y --download-only --no-install-recommends asterisk; } \
            >"$AST_HOME/apt.log" 2>&1 || { tail -3 "$AST_HOME/apt.log"; echo "Asterisk cannot be fetched"; exit 77; }
        local package
        for package in "$state"/cache/archives/*.deb; do
            case ${package##*/} in
                # What every system has; two C libraries in one process do not get on.
                libc6_* | libc-bin_* | libc-l10n_* | perl* | libperl* | dpkg_* | bash_* | coreutils_* | systemd* | util-linux_* | apt_*) ;;
                *) dpkg -x "$package" "$AST_HOME/root" ;;
            esac
        done
        rm -rf "$state"
    fi
    AST_LIBRARIES=$(find "$AST_HOME/root" -name '*.so*' -printf '%h\n' | grep -v /modules | sort -u | paste -sd:)
}

# start_asterisk ADDRESS: with pjsip.conf and extensions.conf of the folder `ast` in the work folder.
start_asterisk() {
    local address=$1 etc=$WORK/ast i
    mkdir -p "$etc" "$WORK/ast-run"/{lib,spool,run,log}
    cat >"$etc/asterisk.conf" <<CONF
[directories]
astetcdir => $etc
astmoddir => $AST_HOME/root/usr/lib/asterisk/modules
astvarlibdir => $WORK/ast-run/lib
astdbdir => $WORK/ast-run/lib
astkeydir => $WORK/ast-run/lib
astdatadir => $AST_HOME/root/usr/share/asterisk
astagidir => $WORK/ast-run/lib
astspooldir => $WORK/ast-run/spool
astrundir => $WORK/ast-run/run
astlogdir => $WORK/ast-run/log
[options]
verbose = 3
CONF
    printf '[general]\n[logfiles]\nfull => notice,warning,error,verbose\n' >"$etc/logger.conf"
    printf '[general]\nrtpstart=24000\nrtpend=24999\n' >"$etc/rtp.conf"
    # Documentation that PJSIP's modules want is not looked for with this.
    printf '[modules]\nautoload = no\n' >"$etc/modules.conf"
    local module
    for module in res_sorcery_config res_sorcery_memory res_sorcery_astdb res_timing_timerfd res_rtp_asterisk res_pjproject \
        res_pjsip res_pjsip_pubsub res_pjsip_session res_pjsip_sdp_rtp res_pjsip_caller_id res_pjsip_nat \
        res_pjsip_authenticator_digest res_pjsip_outbound_authenticator_digest res_pjsip_outbound_registration \
        res_pjsip_registrar res_pjsip_refer res_pjsip_rfc3326 res_pjsip_diversion res_pjsip_header_funcs \
        res_pjsip_dtmf_info res_pjsip_endpoint_identifier_ip res_pjsip_endpoint_identifier_user \
        bridge_builtin_features bridge_native_rtp bridge_simple bridge_softmix bridge_holding chan_pjsip codec_ulaw \
        codec_alaw format_pcm format_wav format_sln app_dial app_milliwatt app_echo app_playtones app_transfer app_stack \
        app_verbose app_waitforsilence func_channel func_callerid func_logic func_strings pbx_config; do
        [ ! -f "$AST_HOME/root/usr/lib/asterisk/modules/$module.so" ] || echo "load = $module.so" >>"$etc/modules.conf"
    done
    for module in manager http cdr cel ari udptl features acl; do
        [ -f "$etc/$module.conf" ] || printf '[general]\nenabled = no\n' >"$etc/$module.conf"
    done
    LD_LIBRARY_PATH=$AST_LIBRARIES "$AST_HOME/root/usr/sbin/asterisk" -C "$etc/asterisk.conf" -f -q </dev/null \
        >"$WORK/asterisk.out" 2>&1 &
    AST_PID=$!
    PIDS+=("$AST_PID")
    for i in $(seq 300); do
        ss -Hlnu "src = $address:5060" | grep -q . && return
        kill -0 "$AST_PID" 2>/dev/null || break
        sleep 0.1
    done
    not_ok "Asterisk listens on $address"
    tail -5 "$WORK/asterisk.out" "$WORK/ast-run/log/full" 2>/dev/null | sed 's/^/# /'
    exit 1
}
