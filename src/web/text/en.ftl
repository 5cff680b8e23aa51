# The console in English. Keys are the same in every language; a test sees to it.
skip = Skip to the content
menu = Menu
nav-label = Pages
nav-label-phone = Pages, on a phone
nav-reports = Reports
nav-numbers-group = Numbers
nav-set-up = Set up
nav-system = System
nav-overview = Overview
nav-calls = Calls
nav-live = Live board
nav-pools = Pools
nav-numbers = Numbers
nav-planner = Planner
nav-new-channel = New channel
nav-catalogue = Catalogue
nav-install = Install check
nav-health = Health
nav-events = Journal
nav-demo = Demo page
search-label = Find calls by number
search-hint = Part of a number
switch-language = Language
switch-theme = Colours
theme-system = As the system
theme-light = Light
theme-dark = Dark
sign-out = Sign out
sign-in = Sign in
sign-in-token = Access token
sign-in-wrong = This is not the token.
sign-in-script = Signing in needs JavaScript; programs send the token with every request.
health-ready = takes calls
health-starting = starting
health-draining = stopping
keys-title = Keys
key-help = show this
key-search = find calls
key-rows = next and previous row
key-pages = newer and older page
close = Close
yes = yes
no = no
any = any
more = More
edit = Edit
cancel = Cancel
next = Next
back = Back
copy = Copy
copied = Copied
reload = Load again
csv = CSV
numbers = numbers
chart-figures = Figures

# Tiles
tile-live = Calls now
tile-today = Calls today
tile-answered = Answered today
tile-visitors = Numbers on pages
overview-none = No call yet. The install check says what is missing.
calls-all = All calls
calls-newest = Newest calls
calls-older = Older calls
calls-none = No call fits these filters.
calls-count = { $n ->
    [one] { $shown } call
   *[other] { $shown } calls
}
numbers-count = { $n ->
    [one] { $shown } number
   *[other] { $shown } numbers
}

# Columns and filters
columns = Columns
column-time = Time
column-caller = Caller
column-number = Number
column-origin = Source
column-medium = Medium
column-term = Keyword
column-confidence = Confidence
column-status = Status
column-wait = Wait
column-talk = Talk
column-company = Company
column-pool = Pool
column-region = Region
column-recording = Recording
filter-since = From
filter-until = To
filter-outcome = Status
filter-source = Source
filter-medium = Medium
filter-campaign = Campaign
filter-pool = Pool
filter-company = Company
filter-number = Tracking number
filter-attribution = Known by
filter-below = Confidence below
filter-state = State
filter-q = Part of a number
filters-more = More filters
filters-apply = Show
filters-clear = Clear
filter-save = Save this filter
filter-name = Name of the filter
filter-forget = Forget
preset-today = Today
preset-missed = Not answered
preset-unsure = Unsure source
preset-unknown = Unknown source

# Calls
outcome-answered = answered
outcome-no-answer = no answer
outcome-busy = busy
outcome-cancelled = caller gave up
outcome-rejected = declined
outcome-failed = failed
outcome-voicemail = voicemail
outcome-lost-in-crash = lost in a crash
phase-ringing = ringing
phase-talking = talking
phase-ended = ended
kind-visitor = visitor
kind-static = static number
kind-none = unknown
origin-direct = direct visit
origin-static = static number
origin-unknown = unknown
caller-withheld = withheld
caller-anonymous = withheld
side-caller = Caller
side-company = Company
recording-complete = complete
recording-degraded = with gaps
recording-failed = failed
recording-off = not recorded
hangup-caller = the caller hung up
hangup-company = the company hung up
hangup-system = ended by Leaseline
utm-source = Source
utm-medium = Medium
utm-campaign = Campaign
utm-term = Keyword
utm-content = Ad
call-title = Call of { $caller }
call-why = Who called, and why we think so
call-recording = Recording
call-timeline = What happened
call-versions = Attribution over time
call-ladder = SIP messages
call-events = Events
fact-origin = Source
fact-number = Tracking number
fact-pool = Pool
fact-started = Began
fact-wait = Waited
fact-talk = Talked
fact-forwarded = Forwarded to
fact-name = Name
fact-region = Region of the caller
fact-end = End
fact-id = Call id
method-active-lease = The number was on this visitor’s page at that moment.
method-last-holder = The number was last shown to this visitor.
method-known-caller = This caller is known from earlier calls.
method-static-channel = The number belongs to this channel.
method-nobody = It is likelier that none of the visitors we know of called.
method-none = Nobody is known who had this number.
why-stale = The table of leases was out of step when this was decided.
why-contention = { $n ->
    [one] { $shown } visitor had the number on the page.
   *[other] { $shown } visitors had the number on their pages.
}
why-model = Decided by model { $model }.
candidates = Candidates
candidate = Visitor
probability = Probability
reasons = Reasons
nobody = Nobody we know
nobody-why = A wrong number, an old print, a number passed on.
sources-shares = By source
visit = The visit
visit-landing = Landing page
visit-referrer = Referrer
evidence-shown = on the page for { $span }
evidence-left = left the page { $span } ago
evidence-tapped = tapped the number { $span } ago
evidence-copied = copied the number { $span } ago
evidence-hidden = the page went out of sight { $span } ago
evidence-again = this caller called { $span } ago and was taken for them
evidence-renamed = this caller called { $span } ago and never saw the number as who they were taken for
evidence-contention = the number is on the pages of { $span } visitors
evidence-region = the caller’s number is of the visitor’s region
evidence-other-region = the caller’s number is of another region
evidence-history = earlier calls speak for somebody else
unit-s = s
unit-min = min
unit-h = h
unit-d = d
step-clicked = clicked the ad
step-started = the call came in
step-ringing = rang at the company
step-answered = answered
step-ended = ended
wave-label = Waveform: caller above, company below
wave-none = No waveform: the recording is not here as a plain WAV.
player-speed = Speed
player-download = Download
gaps = Gaps
gaps-count = { $n ->
    [one] { $shown } gap
   *[other] { $shown } gaps
}
gap-at = At
gap-for = Length
gap-side = Side
gap-cause = Cause
gap-loss = packets lost
gap-late = packets too late
gap-hold = on hold
gap-dtx = silence not sent
gap-comfort-noise = comfort noise
gap-no-media = nothing sent
gap-disk = disk
gap-overload = overload
gap-crash = crash
gap-codec = unknown codec
gap-paused = recording paused
media = Sound
media-codec = Codec
media-received = Packets
media-lost = Lost
media-jitter = Jitter
ladder-none = The messages of this call are not kept any more.
ladder-text = As text
ladder-pcap = For Wireshark
ladder-left-out = { $n ->
    [one] and { $shown } more message
   *[other] and { $shown } more messages
}
event-call = To the call
event-call-started = call began
event-call-answered = answered
event-call-ended = call ended
event-call-transferred = transferred
event-call-refused = refused
event-call-labelled = labelled
event-call-commented = commented
event-call-scored = scored
event-call-valued = valued
event-recording-sealed = recording sealed
event-recording-recovered = recording made whole
event-recording-played = listened to
event-recording-erased = recording erased
event-recording-held = recording held
event-recording-released = hold released
event-recording-archived = recording archived
event-recording-paused = recording paused
event-recording-resumed = recording goes on
event-lease-granted = number given to a visitor
event-lease-renewed = still on the page
event-lease-released = page left
event-lease-expired = lease over
event-lease-signal = seen on the page
event-catalogue-changed = catalogue changed
event-node-started = Leaseline started
event-node-stopped = Leaseline stopped
event-trunk-up = trunk answers
event-trunk-down = trunk does not answer
event-trunk-registered = registered at the trunk
event-trunk-unregistered = not registered at the trunk
event-media-silent = nothing heard of one side
event-export-sent = exported
event-export-rejected = export rejected
event-export-linked = export linked
event-export-retracted = export retracted
event-user-signed-in = signed in
event-user-refused = sign-in refused
event-user-changed = user changed
event-report-exported = report taken out

# Live board
live-on = follows
live-off = does not follow
live-none = No call at the moment.
live-count = { $n ->
    [one] { $shown } call in progress
   *[other] { $shown } calls in progress
}
live-for = For
live-to = Forwarded to
live-paused = recording paused
live-hang-up = Hang up
live-hang-up-who = Hang up on { $who }
live-reload = Without JavaScript the board does not follow by itself.

# Pools and numbers
pools-none = There is no pool yet.
pool-title = Pool { $name }
pool-kind-dynamic = dynamic
pool-kind-static = static
pool-no-channel = no channel
pool-short = short of numbers
pool-grows = grows by itself
pool-granted = Given out since the start
pool-shared = Shared with others
pool-exhausted = Visitors without a number
pool-exhausted-words = { $n ->
    [one] { $shown } visitor saw the real number: none was free.
   *[other] { $shown } visitors saw the real number: none was free.
}
pool-instead = Shown a static number instead
pool-hold = Hold after the visit
pool-minutes-short = Minutes of shortage, 24 hours
pool-contended = Calls to shared numbers, 24 hours
pool-planned = Size asked for
pool-added = Added by itself
state-leased = on a page
state-held = held
state-free = free
state-static = static
state-resting = resting
numbers-none = No number is in this state.
numbers-all = All numbers of the pool
number-title = Number { $number }
number-keeping = Kept
number-calls = Calls
number-background = Background calls, 24 hours
number-last-call = Last call
number-leaked = Leaked
number-tested = Test call came back
number-lease = Who has it, or had it last
number-no-lease = Nobody had it yet.
number-shown = Shown to a visitor from
number-until = Until
keeping-in-use = in use
keeping-resting = resting
keeping-leaving = leaving
keeping-listening = listening
lease-granted = Given
lease-seen = Last seen
lease-hold = Held until
lease-visitor = Visitor

# Planner
planner-about = How many numbers a site needs: visits at once by Erlang’s loss formula, over the busiest hour of the day.
planner-visits = Visits a day
planner-page = Time on the site
planner-hold = Hold
planner-blocking = Visits without a number of their own
planner-price = Price of a number a month
planner-channels = Channels
planner-forecast = Forecast, like 3@2026-12-01..2026-12-24
planner-plan = Plan
planner-numbers = Numbers, so that nobody shares on the page
planner-numbers-hold = Numbers, so that holds are kept too
planner-on-page = Visitors at once
planner-curve = Visits without a number of their own, by size of the pool
planner-blocked = shared with somebody on the page
planner-reused = reused within the hold
planner-aim = target
planner-sizes = Sizes
planner-cost = A month
planner-compare = What else the same would buy
planner-way = Way
planner-tells = A call tells
planner-forecasted = With { $forecast } times the visits: { $numbers } numbers, { $more } more than usual.
plan-one-dynamic = one dynamic pool
plan-static-per-channel = a static number a channel
plan-dynamic-per-channel = a dynamic pool a channel
tells-visitor = the visitor
tells-channel = the channel

# Install check
install-no-site = No site is configured. Make one in the catalogue.
install-your-number = your real number
install-snippet = The snippet
install-where = Put this before </body> of every page. It is small, loads beside the page, and leaves the real number when anything fails.
install-version = For an integrity check there is a version that never changes:
install-no-pool = This site has no dynamic pool yet.
install-checks = Live check
install-done = { $done } of { $all }
check-yes = yes
check-not-yet = not yet
check-snippet = The snippet was seen on a page
check-numbers = Visitors get numbers
check-tap = A number was tapped
check-call = A call came to one of the numbers
check-recording = Its recording plays
check-export = Its event went out
check-seen-at = last at { $at }
check-granted = { $n ->
    [one] { $shown } visitor
   *[other] { $shown } visitors
}
check-tapped = { $n ->
    [one] { $shown } tap
   *[other] { $shown } taps
}
check-sinks = { $n ->
    [one] { $shown } sink
   *[other] { $shown } sinks
}
hint-check-snippet = Open a page of the site in a browser.
hint-check-numbers = The page must hold the real number, and the site a pool with free numbers.
hint-check-tap = Tap the number on a phone; it needs a tel: link.
hint-check-call = Call the number that the page shows.
hint-check-recording = Talk for a few seconds; the recording is sealed when the call ends.
hint-check-export = Configure a sink; every ended call goes there.

# Health
trunks = Trunks
trunk = Trunk
trunks-none = No trunk is configured.
trunk-match = Calls from
trunk-registration = Registration
trunk-probe = Answers
trunk-no-registration = not wanted
trunk-no-probe = not asked
registration-registered = registered
registration-registering = registering
probe-up = up
probe-down = down
probe-degraded = takes no calls
probe-unknown = not known yet
health-metrics = Metrics
health-journal = Journal
health-writing = writing
health-waiting = waits for the disk
health-journal-seq = Events in the journal
health-journal-queue = Events waiting
health-dropped = Events lost
health-table = Table of leases
health-fresh = fresh
health-stale = stale
health-version = Version
media-lately = Sound of the last 100 calls
media-poor = MOS below 3.6

# Journal
events-kind = Events
events-kind-all = all
events-kind-audit = audit: listened, changed, taken out
events-kind-calls = calls
events-kind-recordings = recordings
events-kind-leases = leases
events-kind-exports = exports
events-none = No such event among the newest.
events-older = Older events

# Catalogue
sites = Sites
companies = Companies
sinks = Sinks
versions = Versions
catalogue-none = None yet.
catalogue-new-site = New site
catalogue-whole = All as JSON
catalogue-saved = Saved, and in force.
catalogue-version = Version { $version }, by { $by }
catalogue-edit = New entry
catalogue-edit-name = Edit { $name }
catalogue-json = JSON, with the keys of the configuration file
catalogue-keys = The names of the keys are those of the configuration file. Nothing is saved before you have seen what would change.
catalogue-show-diff = Show what would change
catalogue-remove = Remove
catalogue-diff = What would change
catalogue-no-change = Nothing would change.
catalogue-note = A note for the list of versions
catalogue-save = Save, and put in force
companies-file = Routes come from the configuration file; what a company may use and pays is edited here.
sinks-file = Sinks come from the configuration file.
company-forward = Forwards to
company-tracking = Tracking
version = Version
version-by = By
version-changes = Changes
version-current = in force
versions-none = Nothing was changed yet: the configuration file counts.
version-title = Version { $version }
version-back = Going back to it would change
version-roll-back = Go back to this version
key-name = Name
key-company = Company
key-site = Site
key-kind = Kind
key-numbers = Numbers
key-traffic = Traffic
key-priority = Priority
key-origins = Origins

# Wizard
steps = Steps
step-kind = Kind of channel
step-traffic = Traffic
step-numbers = Numbers
step-display = Display
step-snippet = Snippet and live check
channel-kind = Kind
channel-dynamic = Dynamic
channel-static = Static
hint-channel-dynamic = Every visitor of the site sees a number of their own; the call tells the campaign, the keyword and the visitor.
hint-channel-static = One number for one source: a billboard, a card, a newspaper. The call tells the channel.
channel-name = Name (stays the key of reports)
channel-title = Title (what people see)
channel-site = Site
channel-mode = Settings
channel-standard = Standard
channel-own = Own
hint-channel-standard = A kind of traffic that is recognised by itself.
hint-channel-own = Conditions on the parameters of the address.
channel-traffic = Kind of traffic
channel-conditions = Own conditions (with * and ?)
channel-utm-source = utm_source
channel-utm-medium = utm_medium
channel-utm-campaign = utm_campaign
channel-source = Source
channel-medium = Medium
channel-campaign = Campaign
channel-static-traffic = What a call to these numbers is attributed to.
channel-from = Where the numbers come from
channel-from-own = Own numbers
channel-from-provider = From the provider
hint-channel-from-own = Numbers that your carrier sends here already.
hint-channel-from-provider = The pool orders what it needs.
channel-no-provider = No provider is configured, so these are your own numbers.
channel-numbers = Numbers, in any writing; one a line, or ranges A..B
channel-country = Country of numbers without a prefix (two letters)
channel-binding = Who shares a number
binding-visitor = Nobody
binding-params = A campaign
hint-binding-visitor = Every visitor has a number of their own.
hint-binding-params = All visitors of one source, medium and campaign have one together.
channel-static-display = A static number is printed, said or written where the source is. Pages need no snippet for it.
channel-dynamic-display = The number stays with the visitor while the page is open, and for the hold after it.
channel-review = What will be made
channel-again = { $n ->
    [one] { $shown } was written twice
   *[other] { $shown } were written twice
}
channel-create = Create the channel
channel-done = The channel { $name } is there, with { $numbers }.
channel-note = channel { $name }
channel-static-done = Print these numbers; the first call shows in the log of calls.
channel-no-name = The channel needs a name.
channel-name-taken = A pool of this name is there already.
channel-no-site = A dynamic channel needs a site.
channel-no-source = A static channel needs a source.
channel-no-numbers = Write at least one number.
channel-bad-number = This is no phone number: { $text }
channel-number-taken = { $number } is in another pool.
traffic-yandex-direct = Yandex.Direct
traffic-google-ads = Google Ads
traffic-organic = search
traffic-social = social networks
traffic-referral = links
traffic-direct = direct
traffic-email = e-mail

# Problems
problem-unknown-call = There is no such call
problem-unknown-pool = There is no such pool
problem-unknown-number = There is no such number
problem-unknown-version = There is no such version
problem-bad-parameter = This cannot be asked
problem-catalogue-changed = Somebody changed it meanwhile
problem-bad-catalogue = This catalogue is not good
problem-token-required = Sign in first
problem-not-found = There is nothing here

# Overview
overview-days = Calls by day
day = Day
series-answered = answered
series-missed = missed
series-failed = failed
tile-yesterday = yesterday { $figure }

# Reports
nav-work = Work
nav-sources = Sources
nav-missed = Missed calls
nav-hours = Hours
nav-regions = Regions
nav-agents = Agents
unknown = unknown
agent = Who answers
hour = Hour
report-none = No call in this time.
report-cut = Of older calls no more than the newest five thousand are counted.
report-calls = All calls
report-callers = Callers
report-quality = Qualified calls
report-first = First calls
report-repeat = Repeat calls
report-answered = Answered
report-answered-calls = answered
report-quick = In 20 s
report-wait = Mean wait
report-talk = Mean talk
report-short = short talk
report-missed = missed
report-missed-share = Share of all calls
report-by-source = Calls by source
report-way = Way down
report-static-caveat = Callers of a static number may have come another way before: they read an advertisement, and typed the address later.
report-more-rows = { $n ->
    [one] and { $shown } more row
   *[other] and { $shown } more rows
}
missed-waiting = Not called back
missed-hours = Missed calls by weekday and hour
missed-list = Missed calls
missed-none = No call was missed.
missed-after = Reached after
missed-not-yet = not yet
hours-week = Calls by weekday and hour
hours-day = Calls by hour of the day
regions-calls = Calls by region of the caller
agents-calls = Calls by who answers

# Ends of calls
reason-caller-hung-up = hung up
reason-company-hung-up = hung up
reason-no-answer = nobody answered in time
reason-busy = busy
reason-erased = erased
