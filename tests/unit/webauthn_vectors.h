/* Registrations and assertions of three kinds of key, base64url, made with Node.js: site
 * example.test, origin https://example.test, challenge Y2hhbGxlbmdl, counters 1 and 2. */
#pragma once

/* clang-format off */
struct webauthn_vector {
    const char *name, *attestation, *data, *signature, *key;
};
#define VECTOR_CREATE "{\"type\":\"webauthn.create\",\"challenge\":\"Y2hhbGxlbmdl\",\"origin\":\"https://example.test\",\"crossOrigin\":false}"
#define VECTOR_GET "{\"type\":\"webauthn.get\",\"challenge\":\"Y2hhbGxlbmdl\",\"origin\":\"https://example.test\",\"crossOrigin\":false}"
static const struct webauthn_vector webauthn_vectors[] = {
    {"es256",
     "o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YVikmyY_vLWJhTE3sz3cr6W8xUA0ZOrU2nZtD4GTSL-NRyxFAAAAAQAAAAAAAAAAAAAAAAAAAA"
     "AAINJxhc2-EQ3XSnzu07apHWASMFnULhPTeh2aH7Y_BhG9pQECAyYgASFYIPdDWYPMC4PwgMS84J5VGqUTf3ooQevfftuksyBcakw3IlggwpZu"
     "ttwqj4dVKUoX5I5LEG2w5U93EF7mO2yEPBdJlUc",
     "myY_vLWJhTE3sz3cr6W8xUA0ZOrU2nZtD4GTSL-NRywFAAAAAg",
     "MEYCIQC8EZ3tyRVZxafHw7Li6-e_7U8OeM47liTlb8nwCPvmiwIhANa9rwVYAi5RG1YuLKnSMbG2xTXvzfYqBq-CV-yn-SCj",
     "pQECAyYgASFYIPdDWYPMC4PwgMS84J5VGqUTf3ooQevfftuksyBcakw3IlggwpZuttwqj4dVKUoX5I5LEG2w5U93EF7mO2yEPBdJlUc"},
    {"rs256",
     "o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YVkBZ5smP7y1iYUxN7M93K-lvMVANGTq1Np2bQ-Bk0i_jUcsRQAAAAEAAAAAAAAAAAAAAAAAAA"
     "AAACBaS8vU1SII8EEKn-rYyv8yZPV9vpcUanHnrNhmF0rKPKQBAwM5AQAgWQEAth6AT24B_Hy9pGFhxYVRDJxgBwYql2MOYz-ojQFTLKlSEmPS"
     "8yupxO5fmQLzpud57bPcnYU38St3ItWvTFnBDXkwrVvg-vOUQODIAiEgCyG-81xo94K43JC1iJ7bp86kJA2x0m0a8J3z_7hSDtPcmWyX4zBxrA"
     "-QyxwoLcYMB9ELUcPQyC2VOj3WNEjp1xIEy68M1zD3HHpYOqAvBIQq-b8C9NGqODx4jsUZ3JZS2mdNG8E_8Dceom7fEQ5fV9DLendU3Pzla9RV"
     "dsnWeqAD5pFImpoPEht45fV-BIRAL2SNHCRpBo-KDYl_h9-za-llz222h97g0jqhhY5E62euHSFDAQAB",
     "myY_vLWJhTE3sz3cr6W8xUA0ZOrU2nZtD4GTSL-NRywFAAAAAg",
     "q9UwwWfdMT3sYkCsKkY8CNaPvV57MpOvKjX5CYdNwOZgyN2vf_rRnYaooncykZrVqLVuFwoAOqYOyLTdSY2hrUQTNaqLpUUnR5z--AWBB0tnaW"
     "d3ZeJtTVRh_Z8gMqOwwGDxMlvvkk_KZBbvjvGV_2F1wYv2LeCFO4nH8_72r9cIOtICYXM2h9Y5ymzk8xCNYZ4k83Id-R2KrRmP6I2B_Vmrcm7U"
     "fc4QaloRF7f2txn_wyC8F-aivA-r3g4tR-vi5-oPYZA2QggCtpbmQJ7F64iewVFOdmNXeertba_-y2m8mg9Oj5D5NHJaHHI0vrSgmWDWx_4NoT"
     "f29Pz7TW1wSg",
     "pAEDAzkBACBZAQC2HoBPbgH8fL2kYWHFhVEMnGAHBiqXYw5jP6iNAVMsqVISY9LzK6nE7l-ZAvOm53nts9ydhTfxK3ci1a9MWcENeTCtW-D685"
     "RA4MgCISALIb7zXGj3grjckLWIntunzqQkDbHSbRrwnfP_uFIO09yZbJfjMHGsD5DLHCgtxgwH0QtRw9DILZU6PdY0SOnXEgTLrwzXMPccelg6"
     "oC8EhCr5vwL00ao4PHiOxRncllLaZ00bwT_wNx6ibt8RDl9X0Mt6d1Tc_OVr1FV2ydZ6oAPmkUiamg8SG3jl9X4EhEAvZI0cJGkGj4oNiX-H37"
     "Nr6WXPbbaH3uDSOqGFjkTrZ64dIUMBAAE"},
    {"eddsa",
     "o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YViBmyY_vLWJhTE3sz3cr6W8xUA0ZOrU2nZtD4GTSL-NRyxFAAAAAQAAAAAAAAAAAAAAAAAAAA"
     "AAIIUqWumv7z2mioyyUZ6Ju04SePJsoKcvO-24TeF5X72GpAEBAycgBiFYINe4QFTUw8tQklzd6V9PdfSo51fbhAc0Igq_ewHnbvl_",
     "myY_vLWJhTE3sz3cr6W8xUA0ZOrU2nZtD4GTSL-NRywFAAAAAg",
     "hdLgPeC5QtcZDKRWCEavaI0PycztuXb_VACLHrmibUHJVN2tJ423z31OegRbOYvu2gnSFjAAXObF5CQbBHnZBw",
     "pAEBAycgBiFYINe4QFTUw8tQklzd6V9PdfSo51fbhAc0Igq_ewHnbvl_"},
    {"small_rsa",
     "o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YVjmmyY_vLWJhTE3sz3cr6W8xUA0ZOrU2nZtD4GTSL-NRyxFAAAAAQAAAAAAAAAAAAAAAAAAAA"
     "AAINTw9x3s_d_zEJdT7gRMMSegHYTR2u-cH_IzUkNv1r7vpAEDAzkBACBYgLfmZz4bSOd6j8NE0Jcna-PFSLyqUvWb7X_sPNW-h1ymt641_WUs"
     "6FH2EcB3MI7gT4nJ-LjTKD16RKiPC0mLCb7an4yI14Ahu-tqNoRT0ZpC34Kza9sgUeobkhrkieqbxBk91Hkzw_jiONXHQxcF-0etjKtmZPcOdm"
     "IP3sR-QCn9IUMBAAE",
     "myY_vLWJhTE3sz3cr6W8xUA0ZOrU2nZtD4GTSL-NRywFAAAAAg",
     "GgkvuoZodD_73mGvuIFuKEPW7vBSSbwqjQxuyQchubzWUl5KBdjJFwE5-6vKtdpX09Kq7zHDc87-vfzUjrCTSBurYKJtOXenXaN4crWWrAIKE7"
     "YhALNGmPppK5XpIgMtpvJmGWz71-UEvaXtStaGSSB-byTTwbsfvkgCgDviXXQ",
     "pAEDAzkBACBYgLfmZz4bSOd6j8NE0Jcna-PFSLyqUvWb7X_sPNW-h1ymt641_WUs6FH2EcB3MI7gT4nJ-LjTKD16RKiPC0mLCb7an4yI14Ahu-"
     "tqNoRT0ZpC34Kza9sgUeobkhrkieqbxBk91Hkzw_jiONXHQxcF-0etjKtmZPcOdmIP3sR-QCn9IUMBAAE"},
};
/* clang-format on */
