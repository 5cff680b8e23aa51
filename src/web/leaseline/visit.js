// What an address and the cookies say of a visit. No page is needed for this part either.

const CLICK_IDS = /^(?:gclid|gbraid|wbraid|dclid|yclid|ymclid|fbclid|msclkid|ttclid|twclid|li_fat_id|vkclid|rb_clickid)$/;
const LINK = '_leaseline';

// The query's parameters; what cannot be decoded is not ours to judge and left out.
function query(url) {
  const found = new Map();
  for (const pair of url.split('#')[0].split('?').slice(1).join('?').split('&')) {
    try {
      const [key, value] = pair.split(/=(.*)/s).map((part) => decodeURIComponent(part.replace(/\+/g, ' ')));
      if (value && !found.has(key.toLowerCase())) found.set(key.toLowerCase(), value);
    } catch (e) { /* a broken escape */ }
  }
  return found;
}

// Without consent to advertising, no click ids: the address goes without its query.
function visitOf(url, referrer, ads) {
  const visit = { landing_page: ads ? url : url.split(/[?#]/)[0], utm: {}, click_ids: {} };
  if (referrer) visit.referrer = referrer;
  for (const [key, value] of query(url)) {
    if (/^utm_[a-z_]{1,24}$/.test(key)) visit.utm[key.slice(4)] = value;
    else if (ads && CLICK_IDS.test(key)) visit.click_ids[key] = value;
  }
  return visit;
}

const isCampaign = (visit) => Object.keys(visit.utm).length + Object.keys(visit.click_ids).length > 0;

// Ids that analytics and, with consent, advertising keep in cookies of this site.
function clientIds(cookie, ads) {
  const ids = {};
  for (const pair of cookie.split(/;\s*/)) {
    const [name, value = ''] = pair.split(/=(.*)/s);
    let m;
    if (name === '_ga' && (m = /^GA\d\.\d\.(\d+\.\d+)/.exec(value))) ids.ga = m[1];
    else if (/^_ga_/.test(name) && (m = /^GS\d\.\d\.s?(\d+)/.exec(value))) ids.ga_session = m[1];
    else if (name === '_ym_uid' && /^\d+$/.test(value)) ids.ym = value;
    else if (ads && /^_fb[pc]$/.test(name)) ids[name.slice(1)] = value;
  }
  return ids;
}

// The address without our own parameter, which must not be copied, kept or counted.
const withoutLink = (url) => url.replace(/([?&])_leaseline=[^&#]*(&?)/, (all, before, after) => (after ? before : ''));
