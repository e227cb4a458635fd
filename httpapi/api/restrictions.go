package api

import (
	"errors"
	"net/netip"
	"strings"
)

// PassphraseHeader carries the lower-case hex SHA-256 of a passphrase, where a secret needs one.
const PassphraseHeader = "X-Secret-Passphrase" //nolint:gosec // a header's name

// Restrictions say who may retrieve a secret: every kind that is set must be met, by any of its entries.
type Restrictions struct {
	AllowedIPs       []string `json:"allowed_ips,omitempty"`       // addresses and CIDR ranges
	AllowedCountries []string `json:"allowed_countries,omitempty"` // ISO 3166-1 alpha-2, upper case
	AllowedASNs      []uint32 `json:"allowed_asns,omitempty"`      // autonomous system numbers
	PassphraseHash   *string  `json:"passphrase_hash,omitempty"`   // as in PassphraseHeader
}

// None tells whether nothing is restricted.
func (r Restrictions) None() bool {
	return len(r.AllowedIPs) == 0 && len(r.AllowedCountries) == 0 && len(r.AllowedASNs) == 0 && r.PassphraseHash == nil
}

var errNetwork = errors.New("not an address or a range of addresses")

// ParseNetwork reads an address or a CIDR range; bits outside a range's mask do not count. An IPv4 range written in IPv6
// is an IPv4 range.
func ParseNetwork(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, errNetwork
	}
	if network.Addr().Is4In6() {
		const mapped = 96
		if network.Bits() < mapped {
			return netip.Prefix{}, errNetwork
		}
		network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-mapped)
	}
	return network.Masked(), nil
}

// countries are the codes that ISO 3166-1 assigns officially (alpha-2, 249 of them).
const countries = " AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV " +
	"BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK " +
	"FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT " +
	"JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO " +
	"MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY " +
	"QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO " +
	"TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW "

// IsCountry tells whether a code is a country's.
func IsCountry(code string) bool {
	return len(code) == 2 && code[0] != ' ' && code[1] != ' ' && strings.Contains(countries, " "+code+" ")
}
